import type { Db } from '../../db/index.ts'
import type { PollOutcome } from '../../db/statements/poll.ts'
import { actOfServer } from '../../kernel/act.ts'
import { suits, type Part, type ReadResult, type UnsuitedReason } from '../../protocol/mdm/index.ts'
import type { Commands } from '../commands/index.ts'
import type { Deliveries } from '../rollout/index.ts'

/** What a device has told of itself with this very message. */
type Told = NonNullable<ReadResult['inventory']>['facts'] | undefined

/** What goes out next, if anything does. */
type NextCommand = Pick<PollOutcome, 'next_uuid' | 'next_body' | 'next'>

/** What makes of a poll one that ends nothing, and refuses nothing. */
export const NOTHING_NEW = {
  status: 'Acknowledged',
  commandUuid: null,
  errorChain: null,
  raw: null,
  inventoryKind: null,
  inventory: null,
  facts: null,
  problem: null,
} as const

/**
 * The first outcome whose command suits the device. A command that does not, because of what the device told since it was queued, is
 * cancelled, and the one behind it asked for.
 */
async function firstSuited(
  first: PollOutcome,
  given: {
    told: Told
    behind: () => Promise<PollOutcome | undefined>
    cancel: (uuid: string, reason: UnsuitedReason) => Promise<void>
  },
): Promise<NextCommand> {
  let outcome: PollOutcome | undefined = first
  while (outcome !== undefined) {
    const reason = unsuitedFor(outcome, given.told)
    if (reason === undefined) return outcome
    await given.cancel(outcome.next_uuid ?? '', reason)
    outcome = await given.behind()
  }
  return { next_uuid: null, next_body: null, next: null }
}

/** Why a device may not be sent what is next in its queue. */
function unsuitedFor({ next }: PollOutcome, told: Told): UnsuitedReason | undefined {
  const known = next?.suits
  if (!known) return undefined
  const { osVersion = known.os_version, isSupervised = known.supervised } = told ?? {}
  const { productName = known.product_name } = told ?? {}
  const device = { ...known, os_version: osVersion, supervised: isSupervised, product_name: productName }
  return suits(device, next.type, (next.parts ?? []) as readonly Part[]).reasons[0]
}

/** What the outgoing side of the command endpoint is made of. */
export interface OutgoingDeps {
  db: Db
  commands: Pick<Commands, 'openBody' | 'cancelUnsuited' | 'takeBack'>
  deliveries: Pick<Deliveries, 'render'>
}

/** Where a command goes, and how the one behind it is asked for. */
interface Destination {
  enrollmentId: string
  requestId: string
  told: Told
  behind: () => Promise<PollOutcome | undefined>
}

/**
 * The next command as it goes out; null when there is none. What groups deliver is made now; what cannot be made, and what does not
 * suit the device any more, is taken back, and the one behind it goes.
 */
export async function outgoing(
  { db, commands, deliveries }: OutgoingDeps,
  first: PollOutcome,
  { enrollmentId, requestId, told, behind }: Destination,
): Promise<Buffer | null> {
  const cancel = async (uuid: string, reason: UnsuitedReason) => {
    await commands.cancelUnsuited({ enrollmentId, uuid, reason }, actOfServer('device', requestId))
  }
  for (let outcome: PollOutcome | undefined = first; outcome !== undefined; outcome = await behind()) {
    const command = await firstSuited(outcome, { told, behind, cancel })
    const { next_uuid: uuid, next_body: kept, next } = command
    if (uuid === null || kept === null) return null
    const rendered = next?.purpose === 'delivery' ? await deliveries.render(enrollmentId, uuid) : 'as_queued'
    if (rendered === 'as_queued') return commands.openBody(uuid, kept)
    if (rendered !== 'not_wanted') return rendered
    await db.transaction((trx) => commands.takeBack(trx, [{ enrollment_id: enrollmentId, uuid }]))
  }
  return null
}

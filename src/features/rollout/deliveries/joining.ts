import type { Tx } from '../../../db/index.ts'
import { AppError, type ErrorCode } from '../../../kernel/errors.ts'
import { newAppleUuid } from '../../../kernel/ids.ts'
import { writeCommand } from '../../../protocol/mdm/index.ts'
import type { Commands, NewCommand } from '../../commands/index.ts'
import type { Contents } from '../contents/contents.ts'
import type { CommandItem } from '../contents/items.ts'
import type { Known } from './load.ts'
import { deliveredCommands, noteDeliveredCommands } from './store.ts'

const PUSH_AGAIN_SECONDS = 300
/** The governor has refused it, or its device has left meanwhile. */
const LEFT_OUT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'governor_limit',
  'governor_stopped',
  'conflict',
])

/**
 * Gives devices the commands of the groups that they have joined since those were added; each once. A device joins when it becomes
 * a member, and when it enrols anew as one.
 */
export async function giveOnJoining(
  trx: Tx,
  deps: {
    contents: Pick<Contents, 'commandItems'>
    commands: Pick<Commands, 'enqueue' | 'enqueueOnce' | 'governedActOf'>
  },
  known: Known,
): Promise<void> {
  const items = await deps.contents.commandItems(trx, known.groupIds)
  if (items.length === 0) return
  const due = items.flatMap((item) => joinersOf(item, known).map((joiner) => ({ item, ...joiner })))
  if (due.length === 0) return
  const before = await deliveredCommands(
    trx,
    due.map(({ id }) => id),
  )
  const fresh = due.filter(({ id, item, joinedAt }) => {
    const last = before.get(`${id} ${item.id}`)
    return last === undefined || last < joinedAt
  })
  const commands = [...Map.groupBy(fresh, ({ item }) => item)].map(([item, joiners]) => {
    const uuid = newAppleUuid()
    const targets = joiners.map(({ id }) => id)
    return {
      uuid,
      requestType: item.requestType,
      body: writeCommand(uuid, item.requestType, item.command),
      targets,
      item,
    }
  })
  const isGoverned = (command: NewCommand) => deps.commands.governedActOf(command) !== undefined
  await deps.commands.enqueueOnce(
    trx,
    commands.filter((command) => !isGoverned(command)),
    PUSH_AGAIN_SECONDS,
  )
  for (const { item, ...command } of commands.filter(isGoverned)) await giveGoverned(trx, deps, item, command)
  const uuids = new Map(commands.map(({ item, uuid }) => [item, uuid]))
  await noteDeliveredCommands(
    trx,
    fresh.map(({ id, item, joinedAt }) => ({ id, itemId: item.id, joinedAt, uuid: uuids.get(item) ?? '' })),
  )
}

/**
 * A command that destroys something counts for whoever put it into the contents, device by device; above the limit each waits for a second
 * person, and what is refused is told by the governor.
 */
async function giveGoverned(
  trx: Tx,
  { commands }: { commands: Pick<Commands, 'enqueue'> },
  { act, requestType, command }: CommandItem,
  { targets }: Pick<NewCommand, 'targets'>,
): Promise<void> {
  for (const id of targets) {
    const uuid = newAppleUuid()
    const body = writeCommand(uuid, requestType, command)
    try {
      await commands.enqueue(trx, act, { uuid, requestType, body, targets: [id] })
    } catch (error) {
      if (!(error instanceof AppError) || !LEFT_OUT.has(error.code)) throw error
    }
  }
}

function joinersOf(item: CommandItem, known: Known): { id: string; joinedAt: Date }[] {
  const gone = new Set(known.gone)
  return [...known.devices.keys()].flatMap((id) => {
    if (gone.has(id)) return []
    const member = known.members.get(id)?.find((one) => one.group_id === item.groupId && one.is_member)
    const enrolledAt = known.joinedAt.get(id) ?? null
    if (member === undefined || enrolledAt === null) return []
    const joinedAt = member.added_at > enrolledAt ? member.added_at : enrolledAt
    return joinedAt > item.addedAt ? [{ id, joinedAt }] : []
  })
}

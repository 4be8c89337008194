import { afterCommit, type Tx } from '../../../db/index.ts'
import type { Log } from '../../../kernel/log.ts'
import { createPassLoop } from '../../../kernel/pass-loop.ts'
import type { EventType, PublishedEvent } from '../../events/index.ts'
import * as needs from '../../../db/statements/delivery-needs.ts'
import { visitSome, type VisitDeps } from './visit.ts'

/** What happens in the same moment is looked at together. */
const DEBOUNCE_MS = 100

/** Batches at the same time, when there are many; the embedded database has one connection. */
const LANES = { postgres: 2, embedded: 1 } as const

/** What may change what devices are to have, or how it stands with them. */
export const DELIVERY_FACTS = [
  'device.grouped',
  'group.members_changed',
  'group.contents_changed',
  'profile.updated',
  'app.updated',
  'secret.set',
  'secret.deleted',
  'user.updated',
  'policy.updated',
  'policy.deleted',
  'device.facts_changed',
  'device.configured',
  'device.token_updated',
  'device.lost_mode_disabled',
  'device.checked_out',
  'device.unenrolled',
  'inventory.received',
] as const satisfies readonly EventType[]

/** Lists by which is seen what is on a device. */
const LISTS = new Set(['profiles', 'managed_applications', 'installed_applications'])
/** Why a device is visited that has told one. */
const LISTED = 'listed'

/**
 * Whatever may concern a device's deliveries asks for a visit of it, in the database. Visits are made for many devices at once, of
 * each by one process at a time, and decide from what is stored, so it does not matter how often a device is visited, or by whom.
 */
export function createEngine(deps: VisitDeps & { log: Log }) {
  const { db, clock, log } = deps
  /** Visits a batch; true when there may be more. Who was put off is visited soon. */
  const visitBatch = async () => {
    const { isMore, isPutOff } = await visitSome(deps)
    if (isPutOff) passes.wake()
    return isMore && !passes.isClosed()
  }
  const visitAll = async () => {
    while (await visitBatch());
  }
  const passes = createPassLoop({
    clock,
    debounceMs: DEBOUNCE_MS,
    async pass() {
      if (await visitBatch()) await Promise.all(Array.from({ length: LANES[db.kind] }, visitAll))
    },
    onFailure: (error) =>
      log.error({ event: 'deliveries.pass_failed', err: error }, 'devices could not be visited'),
  })

  return {
    /** Subscription on `DELIVERY_FACTS`. */
    async follow(facts: readonly PublishedEvent[]): Promise<void> {
      const news = facts.filter(isNews)
      if (news.length === 0) return
      const now = clock.now()
      await db.transaction(async (trx) => {
        for (const fact of news) await askFor(trx, fact, now)
        const told = Map.groupBy(news, causeOfDevice)
        for (const [cause, some] of told) {
          if (cause === undefined) continue
          const needOf = cause === LISTED ? needs.needOfHolders : needs.needOfChannels
          await needOf(trx, channelsOf(some), { cause, now })
        }
      })
      passes.wake()
    },
    /** Takes in the ends of commands with the purpose `delivery`. */
    async answered(trx: Tx, answers: readonly { enrollment_id: string }[]): Promise<void> {
      await needs.needOfChannels(trx, channelsOf(answers), { cause: 'answered', now: clock.now() })
      afterCommit(trx, passes.wake)
    },
    /** Devices are to be visited: soon. */
    wake: passes.wake,
    /** Job: visits devices whose time has come. */
    run: passes.run,
    close: passes.close,
  }
}

/** Of the messages about where channels are pushed to, those count with which a user of a device has come. */
function isNews({ type, data }: PublishedEvent): boolean {
  return type !== 'device.token_updated' || data['tally'] === 1
}

/** Why a fact of one device asks for a visit of it; undefined for facts that are no such, or ask for none. */
function causeOfDevice({ type, data }: PublishedEvent): string | undefined {
  if (type === 'inventory.received') return LISTS.has(String(data['kind'])) ? LISTED : undefined
  return type.startsWith('device.') ? (CAUSES[type] ?? 'facts') : undefined
}

function channelsOf(of: readonly { enrollment_id: string | null }[]): string[] {
  return [...new Set(of.flatMap(({ enrollment_id: id }) => id ?? []))]
}

/** Asks for visits of the devices that a fact of something else may concern. */
async function askFor(trx: Tx, { type, data }: PublishedEvent, now: Date): Promise<void> {
  const ask = (ids: readonly string[], cause: string) => needs.need(trx, ids, { cause, changeId: null, now })
  switch (type) {
    case 'group.members_changed':
      return ask(
        ['added', 'removed', 'unknown', 'known'].flatMap((name) => textsOf(data[name])),
        'members',
      )
    case 'group.contents_changed':
      // Its visits were asked for with the change; this wakes them.
      return
    case 'profile.updated':
      return needs.needOfThing(trx, 'profile', String(data['profile_id']), { cause: 'revision', now })
    case 'app.updated':
      return needs.needOfThing(trx, 'app', String(data['app_id']), { cause: 'revision', now })
    case 'secret.set':
    case 'secret.deleted':
      return needs.needOfVariable(trx, `secret.${String(data['name'])}`, { cause: 'secret', now })
    case 'user.updated':
      return needs.needOfUser(trx, String(data['user_id']), { cause: 'user', now })
    case 'policy.updated':
    case 'policy.deleted':
      return needs.needOfPolicy(trx, String(data['policy_id']), { cause: 'policy', now })
    default:
      return
  }
}

const CAUSES: Readonly<Record<string, string>> = {
  'device.grouped': 'enrolled',
  'device.configured': 'released',
  'device.token_updated': 'user_channel',
  'device.checked_out': 'unenrolled',
  'device.unenrolled': 'unenrolled',
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []
}

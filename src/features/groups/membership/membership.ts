import { afterCommit, type Db, type Tx } from '../../../db/index.ts'
import { groupDevicesOf, groupDevicesOfOtherServers } from '../../../db/statements/device-facts.ts'
import { actAsTold } from '../../../kernel/act.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import { createPassLoop } from '../../../kernel/pass-loop.ts'
import type { Events, EventType, PublishedEvent } from '../../events/index.ts'
import { noteEnrolled } from './facts-store.ts'
import { groupsOf } from './members-store.ts'
import { evaluateSome, followTime } from './passes.ts'
import { queueDevices, takeQueued } from './queue-store.ts'
import { regroup } from './regroup.ts'

/** Devices that are put into groups in one transaction; few enough that others wait briefly on one connection. */
const BATCH = 500
/** What was asked for in the same moment is done together. */
const DEBOUNCE_MS = 20

/** The events from which the groups of devices follow. */
export const GROUP_FACTS = [
  'device.authenticated',
  'device.enrolled',
  'device.facts_changed',
  'device.checked_out',
  'device.unenrolled',
  'device.deleted',
  'user.updated',
  'user.deleted',
  'policy.updated',
  'policy.deleted',
  'ade_sync.succeeded',
  'ade_sync.failed',
  'ade_sync.timed_out',
  'ade_device.removed',
  'ade_device.released',
  'ade_server.deleted',
] as const satisfies readonly EventType[]

/** Keeps who is in the groups that nobody names by hand, as what is known of devices changes. */
export function createMembership(deps: { db: Db; clock: Clock; log: Log; events: Pick<Events, 'emit'> }) {
  const { db, clock, log, events } = deps
  const passes = createPassLoop({
    clock,
    debounceMs: DEBOUNCE_MS,
    async pass() {
      while (!passes.isClosed() && (await takeSome()));
      while (!passes.isClosed() && (await evaluateSome(deps, null)));
      await followTime(deps)
    },
    onFailure: (error) =>
      log.error({ event: 'groups.pass_failed', err: error }, 'devices could not be put into their groups'),
  })

  function takeSome(): Promise<boolean> {
    return db.transaction(async (trx) => {
      const queued = await takeQueued(trx, BATCH)
      if (queued === undefined) return false
      await regroup(trx, deps, queued.ids, { because: 'facts', act: actAsTold(queued) })
      return true
    })
  }

  /** Puts devices into their groups upon events of their own, and tells it of those that enrolled. */
  async function followDevices(facts: readonly PublishedEvent[]): Promise<void> {
    const ids = [...new Set(facts.flatMap(({ enrollment_id: id }) => id ?? []))]
    if (ids.length === 0) return
    const enrolled = facts.filter(({ type }) => type === 'device.enrolled')
    await db.transaction(async (trx) => {
      await regroup(trx, deps, ids, { because: 'facts', act: actAsTold({ by: null, via: 'device' }) })
      const news = await noteEnrolled(
        trx,
        new Map(enrolled.map(({ enrollment_id: id, id: n }) => [id ?? '', n])),
      )
      if (news.length === 0) return
      const groups = await groupsOf(
        trx,
        news.map(({ enrollment_id: id }) => id),
      )
      await events.emit(
        trx,
        ...news.map(({ enrollment_id, serial_number, enrolled_at }) => ({
          type: 'device.grouped' as const,
          enrollment_id,
          serial_number,
          data: { enrolled_at: enrolled_at.toISOString(), group_ids: groups.get(enrollment_id) ?? [] },
        })),
      )
    })
  }

  return {
    /** Subscription on `GROUP_FACTS`. */
    async follow(facts: readonly PublishedEvent[]): Promise<void> {
      await followDevices(facts.filter(({ type }) => type.startsWith('device.')))
      const others = facts.filter(({ type }) => !type.startsWith('device.'))
      for (const { by, via, data } of others.filter(({ type }) => /^(user|policy)\./.test(type)))
        await db.transaction((trx) =>
          groupDevicesOf(
            trx,
            { userIds: textsIn(data['user_id']), policyIds: textsIn(data['policy_id']) },
            { by: by && JSON.stringify(by), via },
          ),
        )
      if (others.some(({ type }) => type.startsWith('ade_'))) await db.transaction(groupDevicesOfOtherServers)
      if (others.length > 0) passes.wake()
    },
    /** Evaluates a group whose rule was set over the first devices at once, and over the others soon. */
    async evaluate(groupId: string): Promise<void> {
      await evaluateSome(deps, groupId)
      passes.wake()
    },
    /** Has the groups of a device follow what it told, as part of the change. */
    async noteTold(trx: Tx, enrollmentId: string): Promise<void> {
      await queueDevices(trx, [enrollmentId], { by: null, via: 'device' })
      afterCommit(trx, passes.wake)
    },
    /** Job: puts devices into the groups that follow from what has changed. */
    run: passes.run,
    wake: passes.wake,
    close: passes.close,
  }
}

function textsIn(value: unknown): string[] {
  return typeof value === 'string' ? [value] : []
}

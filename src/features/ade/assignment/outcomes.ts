import type { Tx } from '../../../db/index.ts'
import { addTime } from '../../../kernel/clock.ts'
import type { DeviceResult } from '../../../protocol/ade/index.ts'
import type { AdeDeps } from '../deps.ts'
import * as devices from '../devices/store.ts'
import * as store from './store.ts'

/** The pause after the first failure; it doubles with each further one, up to the longest. */
const FIRST_RETRY_MINUTES = 5
const LONGEST_RETRY_MINUTES = 6 * 60
/** Serial numbers that an event names. */
const TOLD_SERIALS = 100

/** When something is tried again that has failed so many times in a row. */
export function retryAt(now: Date, failures: number): Date {
  const minutes = Math.min(FIRST_RETRY_MINUTES * 2 ** (failures - 1), LONGEST_RETRY_MINUTES)
  return addTime(now, minutes, 'minute')
}

/** What a call was about. */
interface CallFacts {
  serverId: string
  policyId: string | null
  /** null: the profile was taken away. */
  profileUuid: string | null
  results: ReadonlyMap<string, DeviceResult>
  retryAfterSeconds?: number | undefined
}

/** What calls came to. */
export type Outcomes = ReturnType<typeof createOutcomes>

/** Writes down and tells what calls came to. */
export function createOutcomes({ clock, events }: Pick<AdeDeps, 'clock' | 'events'>) {
  async function tell(trx: Tx, call: CallFacts, serials: Record<Told, string[]>): Promise<void> {
    const { serverId: ade_server_id, policyId: policy_id, profileUuid: profile_uuid } = call
    const about = { ade_server_id, policy_id, profile_uuid }
    const list = (found: string[]) => ({ count: found.length, serial_numbers: found.slice(0, TOLD_SERIALS) })
    const { done, removed, failed, throttled } = serials
    if (done.length > 0) {
      const reason = profile_uuid === null ? 'unassigned' : 'assigned'
      await events.emit(trx, { type: 'ade_device.assigned', reason, data: { ...about, ...list(done) } })
    }
    for (const [reason, found] of Object.entries({ failed, throttled })) {
      if (found.length === 0) continue
      const data = { ...about, ...list(found) }
      await events.emit(trx, { type: 'ade_device.assignment_failed', reason, data })
    }
    if (removed.length > 0) {
      const data = { ade_server_id, ...list(removed) }
      await events.emit(trx, { type: 'ade_device.removed', reason: 'not_accessible', data })
    }
  }

  return {
    /** Devices that Apple has passed over go on waiting. */
    async note(trx: Tx, call: CallFacts): Promise<void> {
      const now = clock.now()
      const serials: Record<Told, string[]> = { done: [], failed: [], throttled: [], removed: [] }
      for (const [serial, { result }] of call.results) serials[PLACES[result]].push(serial)
      const failures = await store.failuresOf(trx, serials.failed)
      const pause = call.retryAfterSeconds ?? FIRST_RETRY_MINUTES * 60
      const outcomes: store.Outcome[] = [
        ...serials.done.map((serial) => ({ serial, state: 'done' as const, retryAt: null, error: null })),
        ...serials.failed.map((serial) => ({
          serial,
          state: 'failed' as const,
          retryAt: retryAt(now, (failures.get(serial) ?? 0) + 1),
          error: errorOf(call.results.get(serial)?.text ?? ''),
        })),
        ...serials.throttled.map((serial) => ({
          serial,
          state: 'throttled' as const,
          retryAt: addTime(now, pause, 'second'),
          error: 'Apple asks to wait before this device is assigned.',
        })),
      ]
      await store.noteOutcomes(trx, { policyId: call.policyId, profileUuid: call.profileUuid, now }, outcomes)
      await devices.setRemoved(trx, serials.removed, now)
      await tell(trx, call, serials)
    },
  }
}

type Told = 'done' | 'failed' | 'throttled' | 'removed'

const PLACES: Record<DeviceResult['result'], Told> = {
  SUCCESS: 'done',
  FAILED: 'failed',
  THROTTLED: 'throttled',
  NOT_ACCESSIBLE: 'removed',
}

function errorOf(text: string): string {
  return text === '' || text === 'FAILED'
    ? 'Apple could not assign the device (FAILED). It is tried again.'
    : `Apple could not assign the device (${text}). It is tried again.`
}

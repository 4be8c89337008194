import type { CriticalState } from '../../../src/features/setup-release/machine.ts'
import type { Circumstances } from './phone.ts'

/** What an engine would say of the things of a history. */
export function criticalState({ isComputed, things }: Circumstances): CriticalState {
  const missing = things.flatMap((thing, at) =>
    thing === 'done'
      ? []
      : [
          {
            ...{ kind: 'profile', id: `p${at}`, name: `Profile ${at}`, identifier: `com.example.${at}` },
            ...{ state: thing === 'open' ? 'sent' : 'failed', reason: thing === 'open' ? null : 'error' },
          },
        ],
  )
  return { computed: isComputed, open: things.filter((thing) => thing === 'open').length, missing }
}

/** What has failed is under way again; gives how many those are. */
export function retryCritical(circumstances: Circumstances): number {
  const failed = circumstances.things.filter((thing) => thing === 'failed').length
  circumstances.things = circumstances.things.map((thing) => (thing === 'failed' ? 'open' : thing))
  return failed
}

import type { Act } from '../../kernel/act.ts'
import type { GovernorDeps } from './deps.ts'
import type { Wanted } from './keep.ts'

/** How refused acts are told: the transaction that wanted one is rolled back, so in one of its own after it. */
export function createRefusals({ db, log, events }: GovernorDeps) {
  const telling = new Set<Promise<void>>()

  function tell(act: Act, { act: name, deviceIds }: Wanted, reason: string): void {
    const isOne = deviceIds.length === 1 && name !== 'release'
    const told = db
      .transaction((trx) =>
        events.emit(trx, {
          ...{ type: 'governor.refused', act, reason },
          enrollment_id: isOne ? deviceIds[0]! : null,
          data: { act: name, devices: deviceIds.length },
        }),
      )
      .catch((error: unknown) =>
        log.error({ event: 'governor.refusal_untold', err: error }, 'a refused act could not be told'),
      )
      .finally(() => telling.delete(told))
    telling.add(told)
  }

  return {
    tell,
    /** Waits until all is told. */
    async close(): Promise<void> {
      await Promise.all(telling)
    },
  }
}

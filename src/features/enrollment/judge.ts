import { actOfServer } from '../../kernel/act.ts'
import type { Tx } from '../../db/index.ts'
import type { Enrollment } from '../devices/index.ts'
import type { EnrollmentDeps } from './deps.ts'
import { queueUnenroll } from './end.ts'
import { isAutomated } from '../entry/index.ts'

const BATCH = 100

/**
 * Job: devices that their users enrolled by a link or the page, and whose serial numbers newly got a policy, are
 * unenrolled, so that they can enrol as the policy says. Each is judged once; an enrollment that came by itself at
 * power-on, or after the policy, is left alone.
 */
export async function judgeAssignments(deps: EnrollmentDeps): Promise<void> {
  for (;;) {
    const count = await deps.db.transaction(async (trx) => {
      const unjudged = await deps.ade.takeUnjudged(trx, BATCH)
      const since = new Map(unjudged.map((each) => [each.serial_number, each.policy_set_at]))
      const live = unjudged.length === 0 ? [] : await deps.devices.lockLiveOf(trx, [...since.keys()])
      for (const device of live) {
        const setAt = since.get(device.serial_number ?? '')
        if (setAt !== undefined) await judge(trx, deps, device, setAt)
      }
      return unjudged.length
    })
    if (count < BATCH) return
  }
}

async function judge(trx: Tx, deps: EnrollmentDeps, device: Enrollment, setAt: Date): Promise<void> {
  const { authenticated_at: since, attempt_id: attemptId, way } = device
  if (attemptId === null || since === null || since > setAt || isAutomated(way)) return
  const { command_uuid: uuid } = await queueUnenroll(trx, deps, device, actOfServer())
  await deps.attempts.revoke(trx, attemptId, {
    step: 'unenroll',
    reason: 'unenrolled_by_assignment',
    detail: { policy_set_at: setAt.toISOString(), command_uuid: uuid },
  })
}

import type { Tx } from '../../db/index.ts'
import { SEALED_FOR } from '../../db/sealed-columns.ts'
import { marksOf } from '../../db/statements/approvers.ts'
import type { Act, Actor } from '../../kernel/act.ts'
import { newId } from '../../kernel/ids.ts'
import { insertApproval, type Approval } from './approvals-store.ts'
import type { GovernorDeps } from './deps.ts'
import type { GovernedAct } from './limits.ts'

/** Devices that an event names. */
const MOST_TOLD = 100

/** What is to be done, and for which devices. */
export interface Wanted {
  act: GovernedAct
  /** Enrollments, or serial numbers of devices that are none. */
  deviceIds: readonly string[]
  /** The role that it needs. */
  role: 'operator' | 'admin'
  /** Who carries it out, see `Deed`. */
  deed: string
  /** With what; JSON. */
  params: unknown
}

/** Writes down what is to be done later: when a second person says so or, with `dueAt`, then. */
export async function keepApproval(
  trx: Tx,
  { clock, secretBox }: GovernorDeps,
  act: Act & { by: Actor },
  wanted: Wanted & { expiresAt: Date; dueAt: Date | null },
): Promise<Approval> {
  const now = clock.now()
  const id = newId(now)
  const { deviceIds, deed, role, expiresAt, dueAt } = wanted
  return insertApproval(trx, {
    ...{ id, deed, role, act: wanted.act, device_ids: [...deviceIds] },
    marks: await marksOf(trx, deviceIds),
    state: dueAt === null ? 'waiting' : 'approved',
    params: secretBox.seal(Buffer.from(JSON.stringify(wanted.params)), SEALED_FOR.approval(id)),
    ...{ asked_by: act.by, makers: [...act.makers], via: act.via },
    ...{ expires_at: expiresAt, due_at: dueAt, created_at: now, updated_at: now },
    ...{ reason: null, decided_by: null, decided_at: null, done_at: null },
  })
}

/** Tells what became of an approval. */
export function tellApproval(
  trx: Tx,
  { events }: Pick<GovernorDeps, 'events'>,
  type: 'requested' | 'approved' | 'rejected' | 'expired' | 'cancelled',
  approval: Approval,
  act?: Act,
): Promise<void> {
  const { device_ids: ids, marks, reason } = approval
  const only = ids.length === 1 ? ids[0]! : null
  const isEnrollment = marks[0] !== ''
  return events.emit(trx, {
    type: `approval.${type}`,
    ...(act && { act }),
    enrollment_id: isEnrollment ? only : null,
    serial_number: isEnrollment ? null : only,
    ...(reason !== null && { reason }),
    data: {
      approval_id: approval.id,
      act: approval.act,
      devices: ids.length,
      device_ids: ids.slice(0, MOST_TOLD),
      asked_by: approval.asked_by,
    },
  })
}

import type { Approval } from './approvals-store.ts'
import type { Verdict } from './ask.ts'
import type { Governor, GovernorView } from './governor.ts'

const MOST_SHOWN = 1_000

/** The governor, as the API shows it. */
export function showGovernor({ version: _version, created_at, updated_at, ...view }: GovernorView) {
  return { ...view, created_at: created_at.toISOString(), updated_at: updated_at.toISOString() }
}

/** What an act answers: what was ordered, or what waits for a second person. */
export async function showOrdered<T extends object>(
  governor: Pick<Governor, 'approvals'>,
  { approval, undoUntil, ...ordered }: T & Verdict,
) {
  return approval === null
    ? { ...ordered, undo_until: undoUntil?.toISOString() ?? null }
    : showWaiting(governor, approval)
}

/** The answer to an act that waits for a second person. */
export async function showWaiting(governor: Pick<Governor, 'approvals'>, approval: Approval) {
  return { approval: await showApproval(governor, approval) }
}

/** An approval, as the API shows it. */
export async function showApproval(governor: Pick<Governor, 'approvals'>, approval: Approval) {
  const isAlone = approval.state === 'waiting' && (await governor.approvals.others(approval)) === 0
  const isUndoable = approval.state === 'approved' && approval.done_at === null
  const { id, act, state, reason, role } = approval
  return {
    ...{ id, act, state, reason, role },
    device_ids: approval.device_ids.slice(0, MOST_SHOWN),
    device_count: approval.device_ids.length,
    skipped_device_ids: approval.skipped_ids.slice(0, MOST_SHOWN),
    requested_by: approval.asked_by,
    requested_via: approval.via,
    decided_by: approval.decided_by,
    decided_at: approval.decided_at?.toISOString() ?? null,
    expires_at: approval.expires_at.toISOString(),
    undo_until: isUndoable ? (approval.due_at?.toISOString() ?? null) : null,
    note: isAlone
      ? `Nobody else could approve this now: it needs the role ${role}, and neither who asked for it, nor who made that token, nor a token that these made.`
      : null,
    created_at: approval.created_at.toISOString(),
    updated_at: approval.updated_at.toISOString(),
  }
}

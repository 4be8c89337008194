import type { Act, Actor } from '../../kernel/act.ts'

/** Every kind of fact that is told. A name is `<thing>.<what happened to it>`; names never change their meaning. */
export const EVENT_TYPES = [
  'ade_device.assigned',
  'ade_device.assignment_failed',
  'ade_device.blocked',
  'ade_device.claimed',
  'ade_device.drifted',
  'ade_device.policy_set',
  'ade_device.released',
  'ade_device.removed',
  'ade_device.unblocked',
  'ade_profile.defined',
  'ade_profile.refused',
  'ade_server.created',
  'ade_server.deleted',
  'ade_server.resumed',
  'ade_server.stopped',
  'ade_server.token_expiring',
  'ade_server.token_stored',
  'ade_server.updated',
  'ade_sync.failed',
  'ade_sync.records_left_out',
  'ade_sync.started',
  'ade_sync.succeeded',
  'ade_sync.timed_out',
  'api_token.created',
  'api_token.deleted',
  'certificate.issued',
  'certificate.refused',
  'command.acknowledged',
  'command.cancelled',
  'command.expired',
  'command.failed',
  'command.queued',
  'device.authenticated',
  'device.checked_out',
  'device.configured',
  'device.deleted',
  'device.enrolled',
  'device.token_updated',
  'device.unenrolled',
  'enrollment.abandoned',
  'enrollment.contested',
  'enrollment.re_enrollment_allowed',
  'enrollment.rejected',
  'enrollment.revoked',
  'enrollment.sign_in_refused',
  'enrollment.started',
  'enrollment.takeover_refused',
  'enrollment_link.created',
  'enrollment_link.revoked',
  'group.created',
  'group.deleted',
  'group.updated',
  'machine_info.replayed',
  'message.refused',
  'policy.created',
  'policy.deleted',
  'policy.updated',
  'push.gone',
  'push.refused',
  'push_certificate.expiring',
  'push_certificate.rejected',
  'push_certificate.stored',
  'settings.changed',
  'signin_source.created',
  'signin_source.deleted',
  'signin_source.updated',
  'unlock_token.read',
  'user.created',
  'user.deleted',
  'user.updated',
] as const

/** A name of the list above. */
export type EventType = (typeof EVENT_TYPES)[number]

/**
 * A fact about to be told. `data` is JSON and never holds a secret; `request_id` and `duration_ms` go to the log only. What a
 * change tells has its `act`, which says who made it; what has none is told by the device of the request, or by a job.
 */
export interface NewEvent {
  type: EventType
  enrollment_id?: string | null
  serial_number?: string | null
  user_name?: string | null
  reason?: string | null
  attempt_id?: string | null
  data?: Record<string, unknown>
  act?: Act
  request_id?: string
  duration_ms?: number
}

/** A published fact; `id` rises in commit order. */
export interface PublishedEvent {
  id: number
  type: string
  at: Date
  by: Actor | null
  via: string | null
  enrollment_id: string | null
  serial_number: string | null
  user_name: string | null
  reason: string | null
  attempt_id: string | null
  data: Record<string, unknown>
}

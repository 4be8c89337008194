/** Every kind of fact that is told. A name is `<thing>.<what happened to it>`; names never change their meaning. */
export const EVENT_TYPES = [
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
  'device.deleted',
  'device.enrolled',
  'device.token_updated',
  'device.unenrolled',
  'enrollment.abandoned',
  'enrollment.rejected',
  'enrollment.started',
  'enrollment_link.created',
  'enrollment_link.revoked',
  'group.created',
  'group.deleted',
  'group.updated',
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
  'user.created',
  'user.deleted',
  'user.updated',
] as const

/** A name of the list above. */
export type EventType = (typeof EVENT_TYPES)[number]

/** A fact about to be told. `data` is JSON and never holds a secret; `request_id` and `duration_ms` go to the log only. */
export interface NewEvent {
  type: EventType
  enrollment_id?: string | null
  serial_number?: string | null
  user_name?: string | null
  reason?: string | null
  attempt_id?: string | null
  data?: Record<string, unknown>
  request_id?: string
  duration_ms?: number
}

/** A published fact; `id` rises in commit order. */
export interface PublishedEvent {
  id: number
  type: string
  at: Date
  enrollment_id: string | null
  serial_number: string | null
  user_name: string | null
  reason: string | null
  attempt_id: string | null
  data: Record<string, unknown>
}

import { Type } from 'typebox'
import type { Enrollment } from './store.ts'

const text = Type.Union([Type.String(), Type.Null()])
const time = Type.Union([Type.String({ format: 'date-time' }), Type.Null()])
const flag = Type.Union([Type.Boolean(), Type.Null()])

/** A device as lists show it. */
export const deviceSchema = Type.Object({
  id: Type.String({ description: 'The enrollment id: UDID, EnrollmentID, or <device>:<user>.' }),
  type: Type.String(),
  state: Type.Enum(['enrolled', 'unenrolled']),
  parent_id: text,
  serial_number: text,
  udid: text,
  user_name: text,
  user_short_name: text,
  user_long_name: text,
  policy_id: text,
  attempt_id: text,
  supervised: flag,
  model: text,
  model_name: text,
  product_name: text,
  device_name: text,
  os_version: text,
  build_version: text,
  imei: text,
  meid: text,
  awaiting_configuration: Type.Boolean(),
  token_update_tally: Type.Integer(),
  has_unlock_token: Type.Boolean(),
  has_bootstrap_token: Type.Boolean(),
  authenticated_at: time,
  enrolled_at: time,
  unenrolled_at: time,
  unenroll_reason: text,
  last_seen_at: time,
  push: Type.Object({
    state: Type.Enum(['ok', 'waiting_for_token', 'gone']),
    reason: text,
    topic: text,
    last_push_at: time,
    last_push_result: text,
  }),
  created_at: Type.String({ format: 'date-time' }),
  updated_at: Type.String({ format: 'date-time' }),
})

const answer = Type.Union([
  Type.Object({ received_at: Type.String({ format: 'date-time' }), answers: Type.Unknown() }),
  Type.Null(),
])

/** A device with what it told of itself. */
export const detailSchema = Type.Intersect([
  deviceSchema,
  Type.Object({
    user_channels: Type.Array(Type.String()),
    inventory: Type.Object({ device_information: answer, security_info: answer }),
  }),
])

/** A row in the form of the API: no token, no push magic. */
export function renderDevice(row: Enrollment, userName: string | null) {
  const iso = (at: Date | null) => at?.toISOString() ?? null
  return {
    id: row.id,
    type: row.type,
    state: row.unenrolled_at === null && row.token_update_tally > 0 ? 'enrolled' : 'unenrolled',
    parent_id: row.parent_id,
    serial_number: row.serial_number,
    udid: row.udid,
    user_name: userName,
    user_short_name: row.user_short_name,
    user_long_name: row.user_long_name,
    policy_id: row.policy_id,
    attempt_id: row.attempt_id,
    supervised: row.supervised,
    model: row.model,
    model_name: row.model_name,
    product_name: row.product_name,
    device_name: row.device_name,
    os_version: row.os_version,
    build_version: row.build_version,
    imei: row.imei,
    meid: row.meid,
    awaiting_configuration: row.awaiting_configuration,
    token_update_tally: row.token_update_tally,
    has_unlock_token: row.unlock_token !== null,
    has_bootstrap_token: row.bootstrap_token !== null,
    authenticated_at: iso(row.authenticated_at),
    enrolled_at: iso(row.enrolled_at),
    unenrolled_at: iso(row.unenrolled_at),
    unenroll_reason: row.unenroll_reason,
    last_seen_at: iso(row.last_seen_at),
    push: {
      state: row.push_state,
      reason: row.push_reason,
      topic: row.topic,
      last_push_at: iso(row.last_push_at),
      last_push_result: row.last_push_result,
    },
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  } as const
}

import type { Generated } from 'kysely'

/** A device channel or user channel; live from `authenticated_at` to `unenrolled_at`. */
export interface EnrollmentsTable {
  id: string
  type: 'device' | 'user' | 'shared_ipad_user' | 'user_enrollment_device' | 'user_enrollment_user'
  parent_id: string | null
  udid: string | null
  channel_user_id: string | null
  user_short_name: string | null
  user_long_name: string | null
  serial_number: string | null
  user_id: string | null
  attempt_id: string | null
  policy_id: string | null
  link_id: string | null
  /** By which an attempt made it; null for user channels. */
  way: 'ade' | 'ade_web' | 'link' | 'page' | null
  topic: string | null
  push_token: Buffer | null
  token_updated_at: Date | null
  push_magic: string | null
  unlock_token: Buffer | null
  bootstrap_token: Buffer | null
  awaiting_configuration: Generated<boolean>
  /** It has said Authenticate under the certificate in use since its last TokenUpdate. */
  authenticates_again: Generated<boolean>
  not_on_console: boolean | null
  token_update_tally: Generated<number>
  generation: Generated<number>
  model: string | null
  model_name: string | null
  product_name: string | null
  device_name: string | null
  os_version: string | null
  build_version: string | null
  imei: string | null
  meid: string | null
  supervised: boolean | null
  authenticated_at: Date | null
  enrolled_at: Date | null
  unenrolled_at: Date | null
  unenroll_reason: string | null
  last_seen_at: Date | null
  push_state: Generated<'waiting_for_token' | 'ok' | 'gone'>
  push_reason: string | null
  last_push_at: Date | null
  last_push_result: string | null
  /** Since when it is in lost mode. */
  lost_mode_since: Date | null
  /** When it acknowledged EraseDevice. */
  erased_at: Date | null
  /** Where it said that it was when it was last asked, as JSON. */
  location: string | null
  /** What it shows in lost mode, from the acknowledged EnableLostMode until the acknowledged DisableLostMode, as JSON. */
  lost_mode_wanted: string | null
  /** When its serial number came back under another UDID. */
  superseded_at: Date | null
  /** Since when Apple says that it is gone, unless it was heard of after that. */
  unregistered_at: Date | null
  /** Until when an operator allows that another identity takes its place. */
  re_enrollment_until: Date | null
  /** An operator has brought it here from another server, and it has not spoken with a certificate yet. */
  awaits_certificate: Generated<boolean>
  /** When Apple was last asked whether it is still there. */
  asked_at: Date | null
  /** SHA-256 of its last check-in message, and how often that one was repeated. */
  message_digest: Buffer | null
  message_repeats: Generated<number>
  /** How many bytes of check-in messages were kept in the day that began then. */
  messages_since: Date | null
  message_bytes: Generated<number>
  version: Generated<number>
  created_at: Date
  updated_at: Date
}

/** The newest answer of a kind, as deflated JSON. */
interface DeviceInventoryTable {
  enrollment_id: string
  kind: string
  received_at: Date
  data: Buffer
}

/** Check-in messages as they came, sealed because they hold tokens. */
interface CheckinMessagesTable {
  enrollment_id: string
  message_type: string
  received_at: Date
  raw: Buffer
}

export interface DevicesTables {
  enrollments: EnrollmentsTable
  device_inventory: DeviceInventoryTable
  checkin_messages: CheckinMessagesTable
}

import type { ColumnType, Generated } from 'kysely'

/** An "MDM server" in Apple's portal: our token PKI key pair (and a staged one), and the token made for it, sealed. */
export interface AdeServersTable {
  id: string
  name: string
  certificate: Buffer
  private_key: Buffer
  staged_certificate: Buffer | null
  staged_private_key: Buffer | null
  token: Buffer | null
  consumer_key: string | null
  apple_id: string | null
  token_expires_at: Date | null
  token_stored_at: Date | null
  token_warned_days: number | null
  stopped_reason: string | null
  server_uuid: string | null
  server_name: string | null
  org_name: string | null
  org_id: string | null
  fetch_limit: number | null
  sync_limit: number | null
  account_read_at: Date | null
  default_policy_id: string | null
  cursor: string | null
  /** The fetch of all devices has come to its end; `cursor` is one for changes. */
  cursor_is_complete: Generated<boolean>
  /** What devices get as `seen_in_sync` while all of them are fetched. */
  full_sync_mark: string | null
  last_full_sync_started_at: Date | null
  next_scheduled_sync_at: Date | null
  /** Apple is not called before this time. */
  paused_until: Date | null
  /** Changes at Apple that failed in a row, and when the next one is tried. */
  failed_calls: Generated<number>
  calls_retry_at: Date | null
  /** The process that changes things at Apple for this server, and until when it is believed to live. */
  worker: string | null
  worker_until: Date | null
  /** The public URL under which its policies are defined at Apple, and until when a process that has it is believed to live. */
  address: string | null
  address_until: Date | null
  version: Generated<number>
  created_at: Date
  updated_at: Date
}

/** One run of a sync; at most one of a server is running. */
export interface AdeSyncsTable {
  id: string
  ade_server_id: string
  kind: 'full' | 'incremental'
  state: 'running' | 'succeeded' | 'failed' | 'timed_out'
  trigger: 'operator' | 'schedule' | 'first_token'
  started_at: Date
  ends_by: Date
  finished_at: Date | null
  seen: Generated<number>
  added: Generated<number>
  changed: Generated<number>
  removed: Generated<number>
  /** Records of Apple's that named no device. */
  left_out: Generated<number>
  error: string | null
  error_code: string | null
  /** The process that works on it, and until when it is believed to live. */
  worker: string | null
  worker_until: Date | null
}

/** What a policy is at Apple on one server: the key of its address, and the ADE profile defined for it. */
export interface AdeProfilesTable {
  ade_server_id: string
  policy_id: string
  key: string
  wanted_hash: Buffer | null
  defined_hash: Buffer | null
  profile_uuid: string | null
  defined_at: Date | null
  retry_at: Date | null
  attempts: Generated<number>
  error: string | null
}

/** A change that is being made at Apple, or of which the outcome is unknown. */
export interface AdeCallsTable {
  ade_server_id: string
  kind: 'define' | 'assign' | 'remove'
  policy_id: string | null
  hash: Buffer | null
  profile: ColumnType<Record<string, unknown> | null, string | null, string | null>
  profile_uuid: string | null
  serial_numbers: string[]
  started_at: Date
}

/** A serial number that Apple assigned to one of our servers; its state is derived from the times. */
export interface AdeDevicesTable {
  serial_number: string
  ade_server_id: string | null
  model: string | null
  description: string | null
  color: string | null
  asset_tag: string | null
  device_family: string | null
  os: string | null
  op_date: Date | null
  device_assigned_date: Date | null
  device_assigned_by: string | null
  mdm_migration_deadline: Date | null
  seen_in_sync: string | null
  policy_id: string | null
  policy_set_at: Date | null
  policy_judged_at: Date | null
  apple_profile_uuid: string | null
  apple_profile_status: string | null
  profile_assign_time: Date | null
  profile_push_time: Date | null
  assignment_state: 'pending' | 'assigned' | 'throttled' | 'failed' | null
  assignment_retry_at: Date | null
  assignment_attempts: Generated<number>
  assignment_error: string | null
  /** When we last changed the profile at Apple. */
  assigned_at: Date | null
  /** As of when the columns from Apple are. */
  apple_seen_at: Date | null
  running_profile_uuid: string | null
  contacted_at: Date | null
  enrolled_at: Date | null
  unenrolled_at: Date | null
  blocked_at: Date | null
  released_at: Date | null
  removed_at: Date | null
  created_at: Date
  updated_at: Date
}

export interface AdeTables {
  ade_servers: AdeServersTable
  ade_syncs: AdeSyncsTable
  ade_profiles: AdeProfilesTable
  ade_calls: AdeCallsTable
  ade_devices: AdeDevicesTable
}

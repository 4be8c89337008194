import type { Generated } from 'kysely'

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
  default_policy_id: string | null
  cursor: string | null
  cursor_is_complete: Generated<boolean>
  last_full_sync_started_at: Date | null
  next_scheduled_sync_at: Date | null
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
  error: string | null
  error_code: string | null
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
  ade_devices: AdeDevicesTable
}

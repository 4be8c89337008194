import type { Generated } from 'kysely'

/** A link by which devices enrol; `used` counts those that reached Authenticate. */
interface EnrollmentLinksTable {
  id: string
  key_hash: Buffer
  key_sealed: Buffer
  user_id: string | null
  uses: number
  used: Generated<number>
  expires_at: Date
  group_id: string | null
  revoked_at: Date | null
  created_at: Date
  updated_at: Date
}

/** A device that waits in Setup Assistant, owed a DeviceConfigured; `command_uuids` are what it waits for. */
export interface SetupReleasesTable {
  enrollment_id: string
  deadline: Date
  command_uuids: string[]
  /** The DeviceConfigured that was queued last, and why. */
  configured_uuid: string | null
  reason: 'commands_done' | 'deadline' | null
  tries: Generated<number>
  retry_at: Date | null
  released_at: Date | null
  created_at: Date
}

export interface EnrollmentTables {
  setup_releases: SetupReleasesTable
  enrollment_links: EnrollmentLinksTable
}

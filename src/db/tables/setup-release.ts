import type { Generated } from 'kysely'

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

export interface SetupReleaseTables {
  setup_releases: SetupReleasesTable
}

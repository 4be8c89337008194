import type { ColumnType, Generated } from 'kysely'

/** A critical thing that was not there when a device was let go, how it stood, and why. */
interface MissingThing {
  kind: string
  id: string
  name: string
  identifier: string | null
  state: string
  reason: string | null
}

/** A device that waits in Setup Assistant, owed a DeviceConfigured; opened by the statement of its TokenUpdate. */
export interface SetupReleasesTable {
  enrollment_id: string
  /** Of the enrollment to which the hold belongs. */
  generation: Generated<number>
  /** When the device is let go whatever it waits for; null until somebody has looked at what its policy says. */
  deadline: Date | null
  /** What it is asked first; null until that is asked. */
  command_uuids: string[] | null
  /** The DeviceConfigured that was queued last. */
  configured_uuid: string | null
  /** Why it is let go; null as long as it is held. */
  reason: 'commands_done' | 'policy' | 'deadline' | null
  /** Critical things that failed were tried once more. */
  is_retried: Generated<boolean>
  missing: ColumnType<MissingThing[], string | undefined, string>
  /** How often DeviceConfigured was queued. */
  tries: Generated<number>
  /** When it is looked at again at the latest, and how often that was in vain. */
  next_at: Date
  looks: Generated<number>
  released_at: Date | null
  /** When this enrollment said first that it waits. */
  created_at: Date
}

export interface SetupReleaseTables {
  setup_releases: SetupReleasesTable
}

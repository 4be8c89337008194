import type { ColumnType, Generated } from 'kysely'
import type { Actor } from '../../kernel/act.ts'

/** An app that groups deliver. `identifier` is its bundle identifier, null until somebody or a device has told it. */
export interface AppsTable {
  id: string
  kind: 'store' | 'enterprise'
  name: string
  itunes_store_id: number | null
  identifier: string | null
  /** The newest revision. */
  revision: number
  /** The one that everybody gets. */
  released_revision: number
  version: Generated<number>
  created_at: Date
  updated_at: Date
}

/** What is delivered of an app; never changed. */
export interface AppRevisionsTable {
  app_id: string
  revision: number
  manifest_url: string | null
  package_id: string | null
  options: ColumnType<Record<string, unknown>, string, never>
  created_at: Date
}

/** An IPA in the data folder. */
export interface AppPackagesTable {
  id: string
  app_id: string
  key: string
  size: number
  sha256: Buffer
  part_bytes: number
  part_sha256s: Buffer
  identifier: string
  version: string
  short_version: string | null
  min_os_version: string | null
  display_name: string
  platforms: string[]
  created_at: Date
}

/** A secret by its name, sealed. */
export interface SecretsTable {
  name: string
  value: Buffer
  /** Another one with each value, also of a secret that was deleted and is there again. */
  version: Generated<number>
  created_at: Date
  updated_at: Date
}

/** A configuration profile. */
export interface ProfilesTable {
  id: string
  name: string
  identifier: string
  scope: 'system' | 'user'
  /** The newest revision. */
  revision: number
  /** The one that everybody gets; null: nobody gets any yet. */
  released_revision: number | null
  version: Generated<number>
  created_at: Date
  updated_at: Date
}

/** What was uploaded of a profile, as it came, sealed; never changed. */
export interface ProfileRevisionsTable {
  profile_id: string
  revision: number
  content: Buffer
  size: number
  facts: ColumnType<Record<string, unknown>, string, never>
  signer: ColumnType<Record<string, unknown> | null, string | null, never>
  warnings: ColumnType<{ path: string; message: string }[], string, never>
  created_at: Date
}

/** A secret that a revision of a profile names, be it there or not. */
interface ProfileSecretsTable {
  profile_id: string
  revision: number
  secret_name: string
}

/** Something that a group delivers, or keeps from its devices. */
export interface GroupContentsTable {
  id: string
  group_id: string
  place: number
  kind: 'profile' | 'app' | 'command'
  /** Of a profile or an app. */
  thing_id: string | null
  critical: boolean
  precedence: number
  exclude: boolean
  /** Of a command. */
  request_type: string | null
  /** Its keys, sealed. */
  command: Buffer | null
  added_at: Date
  /** Who put it there, by what way, and what made their token. */
  put_by: ColumnType<Actor | null, string | null, never>
  put_via: string | null
  put_makers: ColumnType<string[], string[], never>
  /** Rises with what is added later. */
  added_seq: Generated<number>
}

/** How far a thing has come with a device. */
export interface DeliveriesTable {
  enrollment_id: string
  kind: 'profile' | 'app'
  thing_id: string
  identifier: string | null
  is_wanted: boolean
  /** Which one it should have; null where a rollout keeps it from all. */
  revision: number | null
  /** The ring of a rollout by which it is to have that. */
  ring: number | null
  critical: boolean
  /** Its place among what the device is to have. */
  place: number
  /** The groups that bring it. */
  group_ids: string[]
  /** `queued`: a command is under way; whether it was sent is known of the queue. */
  state: 'pending' | 'queued' | 'waiting' | 'installed' | 'failed' | 'expired' | 'removing'
  reason: string | null
  error_chain: ColumnType<unknown, string | null, string | null>
  /** Failures in a row. */
  attempts: number
  next_try_at: Date | null
  /** The command that is not answered yet. */
  command_uuid: string | null
  /** The channel that the command is for. */
  target_id: string | null
  /** What the last command carries. */
  sent_revision: number | null
  sent_rendering: string | null
  /** What is on the device as far as is known. */
  there_revision: number | null
  there_rendering: string | null
  /** Something of it may have reached the device. */
  may_be_there: boolean
  acknowledged_at: Date | null
  /** The device has listed it since it was acknowledged. */
  is_listed: boolean
  /** When the device was last asked for it, and how often since it was acknowledged. */
  asked_at: Date | null
  asks: number
  /** Why it is as it is wanted. */
  cause: string
  change_id: string | null
  updated_at: Date
}

/** A device to which things are delivered. */
interface DeliveryDevicesTable {
  enrollment_id: string
  /** Which enrollment of it was last computed (`enrollments.generation`); 0: none yet. */
  generation: number
  computed_at: Date | null
  /** When it is to be visited again. */
  due_at: Date | null
}

/** A device that is to be visited. */
interface DeliveryNeedsTable {
  enrollment_id: string
  cause: string
  change_id: string | null
  asked_at: Date
}

/** A change that concerns many devices. */
export interface DeliveryChangesTable {
  id: string
  group_id: string | null
  kind: string | null
  thing_id: string | null
  devices: number
  state: 'running' | 'finished' | 'stopped'
  created_at: Date
  finished_at: Date | null
}

/** A command of a group that a device was given when it joined. */
interface DeliveredCommandsTable {
  enrollment_id: string
  item_id: string
  joined_at: Date
  command_uuid: string
}

/** A revision that is released in rings. */
export interface RolloutsTable {
  id: string
  kind: 'profile' | 'app'
  thing_id: string
  revision: number
  rings: ColumnType<({ percent: number } | { group_id: string })[], string, never>
  /** The groups among its rings. */
  group_ids: string[]
  advance_after_minutes: number | null
  halt_at_failure_percent: number
  halt_minimum: number
  state: 'running' | 'halted' | 'finished' | 'rolled_back'
  /** The last ring that gets it, from 0. */
  ring: number
  ring_started_at: Date
  /** Why it was halted. */
  reason: string | null
  /** Devices that had failed when somebody last let it go on; it halts again when there are more. */
  failed_before: Generated<number>
  /** What was counted when it was over, by ring. */
  counts: ColumnType<RingCount[] | null, string | null, string>
  version: Generated<number>
  created_at: Date
  updated_at: Date
}

/** How far a ring is. */
export interface RingCount {
  devices: number
  installed: number
  failed: number
}

export interface RolloutTables {
  secrets: SecretsTable
  profiles: ProfilesTable
  profile_revisions: ProfileRevisionsTable
  profile_secrets: ProfileSecretsTable
  rollouts: RolloutsTable
  group_contents: GroupContentsTable
  deliveries: DeliveriesTable
  delivery_devices: DeliveryDevicesTable
  delivery_needs: DeliveryNeedsTable
  delivery_changes: DeliveryChangesTable
  delivered_commands: DeliveredCommandsTable
  apps: AppsTable
  app_revisions: AppRevisionsTable
  app_packages: AppPackagesTable
}

import type { ColumnType, Generated } from 'kysely'

/** What a device told of itself, as it was last told in this enrollment. */
interface DeviceDetailsTable {
  enrollment_id: string
  /** By the names of `ToldFacts`. */
  facts: ColumnType<Record<string, unknown>, string, string>
  /** What it can be found by besides its columns: IMEIs, numbers and addresses of all lines and interfaces. */
  search_terms: string[]
  /** From 0 to 1. */
  battery_level: number | null
  capacity_gb: number | null
  available_capacity_gb: number | null
  passcode_present: boolean | null
  passcode_compliant: boolean | null
  hardware_encryption: number | null
  file_vault_enabled: boolean | null
  activation_lock_enabled: boolean | null
  cloud_backup_enabled: boolean | null
  carrier: string | null
  /** When the enrollment began in which it was told; null for user channels. */
  authenticated_at: Date | null
  updated_at: Date
}

/** When a list of this kind was last taken in that held all that there is. */
interface DeviceListsTable {
  enrollment_id: string
  kind: string
  received_at: Date
}

/** A profile that a device has listed; see `ListedProfile`. */
export interface DeviceProfilesTable {
  enrollment_id: string
  identifier: string
  uuid: string
  display_name: string | null
  organization: string | null
  payload_version: number | null
  is_managed: boolean | null
  is_removal_disallowed: boolean | null
  has_removal_passcode: boolean | null
  is_encrypted: boolean | null
  source: string | null
  payload_types: string[]
  /** Of the list that last changed the row. */
  received_at: Date
}

/** An app that a device has listed as installed (`InstalledApp`), as managed (`ManagedApp`), or both. */
export interface DeviceAppsTable {
  enrollment_id: string
  identifier: string
  is_installed: Generated<boolean>
  name: string | null
  version: string | null
  short_version: string | null
  bundle_size: number | null
  is_installing: boolean | null
  is_validated: boolean | null
  external_version: number | null
  source: string | null
  /** Null: it is not listed as managed. */
  managed_status: string | null
  management_flags: number | null
  has_configuration: boolean | null
  has_feedback: boolean | null
  /** Of the list that last changed the row. */
  received_at: Date
}

/** When a channel was last asked for its inventory, and when it is asked again. */
interface InventoryScheduleTable {
  enrollment_id: string
  asked_at: Date
  next_at: Date
}

export interface InventoryTables {
  device_details: DeviceDetailsTable
  device_lists: DeviceListsTable
  device_profiles: DeviceProfilesTable
  device_apps: DeviceAppsTable
  inventory_schedule: InventoryScheduleTable
}

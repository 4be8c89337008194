import type { ColumnType, Generated } from 'kysely'

/** One row: what this installation is. */
interface InstanceTable {
  only_row: Generated<boolean>
  id: string
  secret_probe: Buffer
  created_at: Generated<Date>
}

/** One row: what an administrator may change, by name; names left out have their default. */
interface SettingsTable {
  only_row: Generated<boolean>
  values: ColumnType<Record<string, unknown>, string, string>
  version: Generated<number>
  created_at: Generated<Date>
  updated_at: Generated<Date>
}

export interface SettingsTables {
  instance: InstanceTable
  settings: SettingsTable
}

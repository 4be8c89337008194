import type { Generated } from 'kysely'

/** A code that belongs to a device, sealed: the PIN of a Mac, or what bypasses the Activation Lock. */
export interface DeviceCodesTable {
  enrollment_id: string
  kind: 'lock_pin' | 'bypass_code'
  /** By which it was sent, or asked for. */
  command_uuid: string
  code: Buffer
  seq: Generated<number>
  created_at: Date
}

/** How a device is to be called, and how far that is. */
export interface DeviceNamesTable {
  enrollment_id: string
  /** The name that its policy gives it; where that cannot be, what it would be. */
  wanted: string
  /** When the enrollment began in which it was named. */
  authenticated_at: Date | null
  /** How often it was told since it was last called so. */
  tries: Generated<number>
  /** It was told; it is called so; it is left with another name; the name cannot be. */
  state: 'asked' | 'named' | 'left' | 'refused'
  updated_at: Date
}

export interface EnrollmentTables {
  device_names: DeviceNamesTable
  device_codes: DeviceCodesTable
}

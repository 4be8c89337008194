/** Apple's names of the systems in its schema; iOS is that of iPads too. */
export const SYSTEMS = ['iOS', 'macOS', 'tvOS', 'visionOS', 'watchOS'] as const

/** A system of a device. */
export type System = (typeof SYSTEMS)[number]

/** What a system does with a thing; what is left out is as it is for the thing around it. Versions are those of the system. */
export interface Support {
  introduced?: string
  deprecated?: string
  removed?: string
  supervised?: boolean
  /** Only on devices that came by automated enrollment. */
  automated?: boolean
  device_channel?: boolean
  user_channel?: boolean
  /** What a user enrollment makes of it. */
  user_enrollment?: 'forbidden' | 'required' | 'ignored'
  shared_ipad?: {
    mode?: 'forbidden' | 'required' | 'ignored'
    device_channel?: boolean
    user_channel?: boolean
  }
}

/** By system; null = it does not have the thing. A system that is left out has it as it has the thing around it. */
export type SupportedOn = Readonly<Partial<Record<System, Support | null>>>

/** A key of a dictionary, an item of an array, or (of a text) one of the texts that stand for something. */
export interface Key {
  key: string
  type: 'string' | 'integer' | 'real' | 'boolean' | 'date' | 'data' | 'array' | 'dictionary' | 'any'
  required?: true
  values?: readonly (string | number)[]
  range?: { min?: number; max?: number }
  default?: string | number | boolean
  on?: SupportedOn
  keys?: readonly Key[]
}

/** A command of Apple's schema. */
export interface CommandType {
  request_type: string
  on: SupportedOn
  keys?: readonly Key[]
}

/** A part of a command that a device may have or not: a key, a setting, a query. */
export interface Part {
  /** A JSON pointer below the command: `/Queries/0`. */
  pointer: string
  /** As people call it: `the query UDID`. */
  name: string
  on: SupportedOn
  /** What takes its place, where it was removed. */
  instead?: string
  /** Whether a device that does not have it refuses the command; else it leaves the part out. */
  isNeeded: boolean
}

import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { parse } from 'yaml'

/** Reads Apple's schema of device management (YAML, github.com/apple/device-management), whatever it describes. */

/** Apple's names of the systems. */
export const SYSTEMS = ['iOS', 'macOS', 'tvOS', 'visionOS', 'watchOS'] as const

/** What a system does with a thing; what is left out is as it is for the thing around it. */
export interface Support {
  introduced?: string
  deprecated?: string
  removed?: string
  supervised?: boolean
  /** Only on devices that came by automated enrollment. */
  automated?: boolean
  device_channel?: boolean
  user_channel?: boolean
  user_enrollment?: 'forbidden' | 'required' | 'ignored'
  shared_ipad?: {
    mode?: 'forbidden' | 'required' | 'ignored'
    device_channel?: boolean
    user_channel?: boolean
  }
}

/** By system; null = it does not have the thing. */
export type SupportedOn = Partial<Record<(typeof SYSTEMS)[number], Support | null>>

/** A key of a dictionary, an item of an array, or one of the texts that stand for something. */
export interface Key {
  key: string
  type: string
  required?: true
  values?: (string | number)[]
  range?: { min?: number; max?: number }
  default?: string | number | boolean
  on?: SupportedOn
  keys?: Key[]
}

/** One file. */
export interface Described {
  file: string
  payload: Record<string, unknown>
  on: SupportedOn
  keys: Key[]
}

type Yaml = Record<string, unknown>

/** Reads every file of a folder, in the order of their names. */
export function readFolder(folder: string): Described[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .toSorted()
    .map((name) => describe(name, readFileSync(path.join(folder, name), 'utf8')))
}

/** Reads one file. */
export function describe(file: string, text: string): Described {
  const raw = parse(text, { maxAliasCount: -1 }) as Yaml
  const payload = (raw['payload'] ?? {}) as Yaml
  return { file, payload, on: supportedOn(payload['supportedOS']), keys: keysOf(raw['payloadkeys'], []) }
}

/** Keys, unless they hold themselves: then whatever stands there is not described. */
function keysOf(given: unknown, around: readonly unknown[]): Key[] {
  if (!Array.isArray(given) || around.includes(given)) return []
  return (given as Yaml[]).map((key) => keyOf(key, [...around, given]))
}

function keyOf(raw: Yaml, around: readonly unknown[]): Key {
  const values = raw['rangelist'] as Key['values']
  const range = raw['range'] as Key['range']
  const on = supportedOn(raw['supportedOS'])
  const keys = keysOf(raw['subkeys'], around)
  const standard = raw['default'] as Key['default']
  return {
    key: String(raw['key']),
    type: ((raw['type'] as string | undefined) ?? '<any>').replace(/[<>]/g, ''),
    ...(raw['presence'] === 'required' && { required: true as const }),
    ...(values !== undefined && { values }),
    ...(range !== undefined && { range }),
    ...(standard !== undefined && standard !== null && { default: standard }),
    ...(Object.keys(on).length > 0 && { on }),
    ...(keys.length > 0 && { keys }),
  }
}

function supportedOn(given: unknown): SupportedOn {
  const all = (given ?? {}) as Record<string, Yaml | undefined>
  return Object.fromEntries(
    SYSTEMS.flatMap((system): [string, Support | null][] => {
      const raw = all[system]
      if (raw === undefined) return []
      if (raw['introduced'] === 'n/a') return [[system, null]]
      const support = supportOf(raw)
      return Object.keys(support).length === 0 ? [] : [[system, support]]
    }),
  )
}

function supportOf(raw: Yaml): Support {
  const shared = raw['sharedipad'] as Yaml | undefined
  return tidy({
    introduced: raw['introduced'],
    deprecated: raw['deprecated'],
    removed: raw['removed'],
    supervised: raw['supervised'],
    automated: raw['requiresdep'],
    device_channel: raw['devicechannel'],
    user_channel: raw['userchannel'],
    user_enrollment: modeOf(raw['userenrollment'] as Yaml | undefined),
    shared_ipad:
      shared &&
      tidy({
        mode: modeOf(shared),
        device_channel: shared['devicechannel'],
        user_channel: shared['userchannel'],
      }),
  })
}

function modeOf(raw: Yaml | undefined): unknown {
  return raw?.['mode'] === 'allowed' ? undefined : raw?.['mode']
}

/** Without what is not said, and versions as texts even where YAML took them for numbers. */
function tidy(support: Record<string, unknown>): Support {
  const entries = Object.entries(support).filter(
    ([, value]) =>
      value !== undefined && !(typeof value === 'object' && Object.keys(value as object).length === 0),
  )
  return Object.fromEntries(
    entries.map(([name, value]) => [name, typeof value === 'number' ? value.toFixed(1) : value]),
  ) as Support
}

import { isDeepStrictEqual } from 'node:util'
import { AppError } from '../../../kernel/errors.ts'
import { jsonPointer } from '../../../kernel/json.ts'
import { mergePatch } from '../../../kernel/merge-patch.ts'
import { isRecord } from '../../../kernel/records.ts'
import { parseTemplate } from '../../../kernel/template.ts'
import { isOsVersion } from '../../../protocol/ade/index.ts'
import { fromJson } from '../../../protocol/mdm/index.ts'
import { isDict, writePlist } from '../../../protocol/plist/index.ts'
import type { AppOptions } from './types.ts'

type Fault = { path: string; message: string; pointer?: string | null }

/** Faults that one answer names. */
const MAX_NAMED = 100

/** What an app has that says nothing of it. */
export const DEFAULT_OPTIONS: AppOptions = {
  remove_with_enrollment: true,
  prevent_backup: false,
  take_over: false,
  device_licence: false,
  min_os_version: null,
  configuration: {},
}

/** Options as a patch leaves them; null gives a default. The configuration is patched in its depth (RFC 7396). */
export function patchedOptions(before: AppOptions, patch: Readonly<Record<string, unknown>>): AppOptions {
  const names = Object.keys(DEFAULT_OPTIONS) as (keyof AppOptions)[]
  const entries = names.map((name) => {
    const value = patch[name]
    if (value === undefined) return [name, before[name]]
    if (value === null) return [name, DEFAULT_OPTIONS[name]]
    return [name, name === 'configuration' ? mergePatch(before.configuration, value) : value]
  })
  return Object.fromEntries(entries) as AppOptions
}

/** The names of the options in which two differ. */
export function differences(before: AppOptions, after: AppOptions): string[] {
  return (Object.keys(DEFAULT_OPTIONS) as (keyof AppOptions)[]).filter(
    (name) => !isDeepStrictEqual(before[name], after[name]),
  )
}

/** Throws AppError `invalid_request` that names every fault of options. */
export function checkOptions(options: AppOptions): void {
  const faults = [...faultsOfVersion(options), ...faultsOfConfiguration(options.configuration)]
  const [first] = faults
  if (first === undefined) return
  throw new AppError('invalid_request', `The field ${first.path} ${first.message}.`, {
    fields: faults.slice(0, MAX_NAMED),
  })
}

/** The names of the variables in a configuration, each once. */
export function variablesOf(configuration: AppOptions['configuration']): string[] {
  const names = [...textsOf(configuration, ['configuration'])].flatMap(({ text }) => {
    const parsed = parseTemplate(text)
    return parsed.ok ? parsed.variables.map(({ name }) => name) : []
  })
  return [...new Set(names)].toSorted()
}

function faultsOfVersion({ min_os_version: version }: AppOptions): Fault[] {
  if (version === null || isOsVersion(version)) return []
  return [{ path: 'min_os_version', message: 'is no OS version, such as 17.4' }]
}

function faultsOfConfiguration(configuration: AppOptions['configuration']): Fault[] {
  const faults: Fault[] = []
  for (const { text, ...at } of textsOf(configuration, ['configuration'])) {
    const parsed = parseTemplate(text)
    if (!parsed.ok) faults.push({ ...at, message: `holds a variable that cannot be: ${parsed.problem}` })
  }
  return faults.length > 0 ? faults : faultsOfPlist(configuration)
}

/** What no property list can carry. */
function faultsOfPlist(configuration: AppOptions['configuration']): Fault[] {
  try {
    const value = fromJson(configuration, 'configuration')
    if (!isDict(value)) return [{ path: 'configuration', message: 'is no object of settings' }]
    writePlist(value)
    return []
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const faults =
      error.fields.length > 0 ? error.fields : [{ path: 'configuration', message: error.message }]
    return faults.map(({ path, message }, at) => ({
      path,
      message: `cannot be sent: ${message}`,
      pointer: error.faults[at]?.pointer ?? '/configuration',
    }))
  }
}

function* textsOf(
  value: unknown,
  path: readonly (string | number)[],
): Generator<{ path: string; pointer: string; text: string }> {
  if (typeof value === 'string') yield { path: path.join('.'), pointer: jsonPointer(path), text: value }
  else if (Array.isArray(value)) {
    for (const [at, item] of value.entries()) yield* textsOf(item, [...path, at])
  } else if (isRecord(value)) {
    for (const [name, member] of Object.entries(value)) yield* textsOf(member, [...path, name])
  }
}

import { sha256 } from '../../../kernel/ids.ts'
import { fillTemplate, MOST_FILLED } from '../../../kernel/template.ts'
import { fromJson } from '../../../protocol/mdm/index.ts'
import { isDict, type PlistDict, type PlistValue, writePlist } from '../../../protocol/plist/index.ts'
import { AppError } from '../../../kernel/errors.ts'
import type { AppFacts, VariableValues } from './types.ts'

/** A changed OS version sends nothing again. */
const NEVER_TELLS_APART = 'device.os_version'

/** Why a configuration cannot be filled. */
export interface Unfilled {
  ok: false
  reason: 'variable_missing' | 'variable_invalid'
  /** The names of what is missing, or what is wrong; never a value. */
  detail: string
}

/**
 * What tells renderings of one revision apart: the values of its variables, as a hash that is the same for the same ones. Empty
 * without variables. A secret may be given by its version in the place of its value.
 */
export function renderingOf({ variables }: Pick<AppFacts, 'variables'>, values: VariableValues): string {
  const names = variables.filter((name) => name !== NEVER_TELLS_APART)
  if (names.length === 0) return ''
  return sha256(JSON.stringify(names.map((name) => [name, values.get(name) ?? null]))).toString('base64url')
}

/** The configuration with the values of its variables, as it goes into a command. */
export function fillConfiguration(
  { options }: Pick<AppFacts, 'options'>,
  values: VariableValues,
): { ok: true; configuration: PlistDict } | Unfilled {
  const missing = new Set<string>()
  const room = { left: MOST_FILLED }
  const configuration = fill(fromJson(options.configuration), values, { missing, room })
  if (room.left < 0)
    return { ok: false, reason: 'variable_invalid', detail: 'All values together are longer than 1 MiB.' }
  if (missing.size > 0) return { ok: false, reason: 'variable_missing', detail: [...missing].join(', ') }
  if (!isDict(configuration)) throw new AppError('internal', 'A configuration is a dictionary.')
  try {
    writePlist(configuration)
    return { ok: true, configuration }
  } catch (error) {
    if (error instanceof AppError) return { ok: false, reason: 'variable_invalid', detail: error.message }
    throw error
  }
}

/** What filling comes to: names without a value, and how much more may be filled in; below 0 nothing is any more. */
interface Filling {
  missing: Set<string>
  room: { left: number }
}

function fill(value: PlistValue, values: VariableValues, filling: Filling): PlistValue {
  const { missing, room } = filling
  if (typeof value === 'string') {
    if (room.left < 0) return ''
    const filled = fillTemplate(value, values)
    if (filled.ok) {
      room.left -= Math.max(0, filled.text.length - value.length)
      return filled.text
    }
    filled.missing.forEach((name) => missing.add(name))
    return ''
  }
  if (Array.isArray(value)) return value.map((item) => fill(item, values, filling))
  if (!isDict(value)) return value
  const dict = { __proto__: null } as unknown as PlistDict
  for (const [key, member] of Object.entries(value)) dict[key] = fill(member, values, filling)
  return dict
}

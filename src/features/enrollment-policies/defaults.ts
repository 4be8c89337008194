import { isRecord } from '../../kernel/records.ts'
import { ADE, type AdeSettings, POLICY } from './schema.ts'

/** The document with a default for every field that it leaves out, at each level; what it says stays as it is. */
export function withDefaults(document: unknown): unknown {
  return fill(document, POLICY.default)
}

/** The same for the part about automated enrollment, as it was stored. */
export function adeWithDefaults(stored: unknown): AdeSettings {
  return fill(stored, ADE.default) as AdeSettings
}

/** In the order of the defaults, which is that of the documentation; the database keeps none. */
function fill(given: unknown, defaults: Record<string, unknown>): unknown {
  if (!isRecord(given)) return given
  const known = Object.entries(defaults).map(([name, value]) => {
    if (!Object.hasOwn(given, name)) return [name, structuredClone(value)]
    return [name, isRecord(value) ? fill(given[name], value) : given[name]]
  })
  const others = Object.entries(given).filter(([name]) => !Object.hasOwn(defaults, name))
  return Object.fromEntries([...known, ...others])
}

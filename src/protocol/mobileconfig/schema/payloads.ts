import payloads from './profiles.json' with { type: 'json' }
import type { PayloadKey, PayloadType } from './types.ts'

const TOP_LEVEL = 'TopLevel'
const COMMON = 'CommonPayloadKeys'

/** Payloads that several files describe are one: it has all their keys, and needs none that others do not. */
const catalogue = new Map<string, PayloadType>()
for (const payload of payloads as unknown as readonly PayloadType[]) {
  const known = catalogue.get(payload.type)
  catalogue.set(payload.type, known === undefined ? payload : merge(known, payload))
}

/** The keys at the top of a profile. */
export const TOP_LEVEL_KEYS: readonly PayloadKey[] = catalogue.get(TOP_LEVEL)?.keys ?? []

/** The keys that all payloads have. */
export const COMMON_KEYS: readonly PayloadKey[] = catalogue.get(COMMON)?.keys ?? []

/** A payload of Apple's schema; undefined for a type that it does not have. */
export function findPayloadType(type: string): PayloadType | undefined {
  return type === TOP_LEVEL || type === COMMON ? undefined : catalogue.get(type)
}

function merge(one: PayloadType, other: PayloadType): PayloadType {
  const keys = new Map(one.keys.map((key) => [key.key, optional(key)]))
  for (const key of other.keys) keys.set(key.key, optional(key))
  return { type: one.type, keys: [...keys.values()] }
}

function optional({ required: _required, ...key }: PayloadKey): PayloadKey {
  return key
}

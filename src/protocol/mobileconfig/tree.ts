import { jsonPointer } from '../../kernel/json.ts'
import { shortened } from '../../kernel/words.ts'

/**
 * A number of a profile as it was written. `plist` writes a real without a fraction as an integer, and loses integers beyond
 * 2^53.
 */
export class WrittenNumber {
  readonly kind: 'integer' | 'real'
  readonly text: string

  constructor(kind: 'integer' | 'real', text: string) {
    this.kind = kind
    this.text = text
  }
}

/** A dictionary of a profile. It has no prototype. */
export interface ProfileDict {
  [key: string]: ProfileValue
}

/** What a profile is made of. */
export type ProfileValue = string | boolean | WrittenNumber | Date | Uint8Array | ProfileValue[] | ProfileDict

/** Where a value is in a profile: keys, and numbers of items. */
export type ProfilePath = readonly (string | number)[]

/** Whether a value is a dictionary. */
export function isProfileDict(value: ProfileValue | undefined): value is ProfileDict {
  return (
    typeof value === 'object' &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array) &&
    !(value instanceof Date) &&
    !(value instanceof WrittenNumber)
  )
}

/** Visits every text value with its place, containers in their order. */
export function visitTexts(
  value: ProfileValue,
  visit: (text: string, path: ProfilePath) => void,
  path: ProfilePath = [],
): void {
  if (typeof value === 'string') visit(value, path)
  else if (Array.isArray(value)) value.forEach((item, at) => visitTexts(item, visit, [...path, at]))
  else if (isProfileDict(value))
    for (const [key, member] of Object.entries(value)) visitTexts(member, visit, [...path, key])
}

/** The same tree with other texts. */
export function mapTexts(value: ProfileValue, map: (text: string) => string): ProfileValue {
  if (typeof value === 'string') return map(value)
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, map))
  if (!isProfileDict(value)) return value
  const dict = newProfileDict()
  for (const [key, member] of Object.entries(value)) dict[key] = mapTexts(member, map)
  return dict
}

/** An empty dictionary. */
export function newProfileDict(): ProfileDict {
  return { __proto__: null } as unknown as ProfileDict
}

/** Longest name or text of a profile that a fault or a warning shows. */
const LONGEST_SHOWN = 128

/** A name or text of a profile, cut where it is long. */
export function shown(text: string): string {
  return shortened(text, LONGEST_SHOWN)
}

/** A place as a JSON pointer; long keys are cut. */
export function pointerOf(path: ProfilePath): string {
  return jsonPointer(path.map((part) => (typeof part === 'number' ? part : shown(part))))
}

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

/** Longest part of a key that a place shows. */
const LONGEST_IN_POINTER = 128

/** A place as JSON pointers spell it (RFC 6901); keys of great length are cut. */
export function pointerOf(path: ProfilePath): string {
  return path.map((part) => `/${typeof part === 'number' ? part : pointerPart(part)}`).join('')
}

function pointerPart(key: string): string {
  const shown = key.length > LONGEST_IN_POINTER ? `${key.slice(0, LONGEST_IN_POINTER)}…` : key
  return shown.replaceAll('~', '~0').replaceAll('/', '~1')
}

import { hash } from 'node:crypto'
import { AppError, type Fault } from '../../kernel/errors.ts'
import { parseTemplate } from '../../kernel/template.ts'
import { checkStructure } from './structure.ts'
import {
  isProfileDict,
  pointerOf,
  visitTexts,
  WrittenNumber,
  type ProfileDict,
  type ProfilePath,
  type ProfileValue,
} from './tree.ts'

/** Faults of one profile that are told; of others only how many there are. */
const MOST_FAULTS = 100
const MDM = 'com.apple.mdm'
const APP_LOCK = 'com.apple.app.lock'
const ENCRYPTED = 'com.apple.encrypted-profile-service'
/** Texts by which a device tells one thing from another. */
const FIXED_KEYS = new Set(['PayloadIdentifier', 'PayloadUUID', 'PayloadType', 'PayloadScope'])
/** Top level: in the dictionary itself; of a payload: `PayloadContent`, its number, and the key. */
const FIXED_DEPTHS = new Set([1, 3])

/** What is known of a configuration profile. */
export interface ProfileContent {
  identifier: string
  scope: 'system' | 'user'
  display_name: string | null
  /** Each once, in the order of the payloads. */
  payload_types: string[]
  /** The variables in its texts, each once, by name. */
  variables: string[]
  /** Those of them that somewhere stand without a fallback. */
  needed: string[]
  /** Bundle ids of the apps that it locks the device to. */
  app_lock_ids: string[]
  /** When the device removes it by itself; RFC 3339. */
  removal_date: string | null
}

/**
 * Checks a profile, and says what is in it. Throws `profile_encrypted`, `profile_invalid` with every fault, or
 * `profile_breaks_management` where it holds an MDM payload, or has the identifier of the profile `ours` or of something in it;
 * the last not with `force`.
 */
export function inspectProfile(root: ProfileDict, ours: string, force: boolean): ProfileContent {
  refuseEncrypted(root)
  const structure = checkStructure(root)
  const { faults: ofVariables, count } = checkVariables(root)
  const faults = [...structure.slice(0, MOST_FAULTS), ...ofVariables].slice(0, MOST_FAULTS)
  if (faults.length > 0) {
    const all = structure.length + count
    const more = all === 1 ? '' : ` (and ${all - 1} more)`
    throw new AppError('profile_invalid', `${faults[0]?.detail}${more}`, { faults })
  }
  const payloads = (root['PayloadContent'] as ProfileValue[]).filter(isProfileDict)
  if (!force) refuseBreaking(root, payloads, ours)
  return {
    identifier: textAt(root, 'PayloadIdentifier'),
    scope: root['PayloadScope'] === 'User' ? 'user' : 'system',
    display_name: textAt(root, 'PayloadDisplayName') || null,
    payload_types: [...new Set(payloads.map((payload) => textAt(payload, 'PayloadType')))],
    ...variablesOf(root),
    app_lock_ids: payloads.flatMap(appLockOf),
    removal_date: root['RemovalDate'] instanceof Date ? root['RemovalDate'].toISOString() : null,
  }
}

/** The same for two profiles that differ in nothing but how they are written: ends of lines, spaces, the order of keys. */
export function digestOfProfile(root: ProfileDict): string {
  return hash('sha256', JSON.stringify(canonical(root)))
}

function refuseEncrypted(root: ProfileDict): void {
  if (
    root['IsEncrypted'] === true ||
    root['EncryptedPayloadContent'] !== undefined ||
    root['PayloadType'] === ENCRYPTED
  )
    throw new AppError('profile_encrypted', 'The profile is encrypted: upload it as it was before.')
}

function refuseBreaking(root: ProfileDict, payloads: readonly ProfileDict[], ours: string): void {
  const faults: Fault[] = []
  const all: [ProfileDict, ProfilePath][] = [
    [root, []],
    ...payloads.map((payload, at): [ProfileDict, ProfilePath] => [payload, ['PayloadContent', at]]),
  ]
  for (const [dict, path] of all) {
    if (sameText(textAt(dict, 'PayloadType'), MDM))
      faults.push({
        pointer: pointerOf([...path, 'PayloadType']),
        detail: 'A device has one MDM payload, which comes with the enrollment profile.',
      })
    const identifier = textAt(dict, 'PayloadIdentifier')
    if (sameText(identifier, ours) || sameText(identifier.slice(0, ours.length + 1), `${ours}.`))
      faults.push({
        pointer: pointerOf([...path, 'PayloadIdentifier']),
        detail: 'This is the identifier of the enrollment profile, or of something in it.',
      })
  }
  if (faults.length > 0)
    throw new AppError('profile_breaks_management', faults[0]?.detail, {
      faults: faults.slice(0, MOST_FAULTS),
    })
}

function sameText(one: string, other: string): boolean {
  return one.trim().toLowerCase() === other.toLowerCase()
}

function checkVariables(root: ProfileDict): { faults: Fault[]; count: number } {
  const faults: Fault[] = []
  let count = 0
  visitTexts(root, (text, path) => {
    const detail = faultOfText(text, path)
    if (detail === undefined) return
    count += 1
    if (faults.length < MOST_FAULTS) faults.push({ pointer: pointerOf(path), detail })
  })
  return { faults, count }
}

function faultOfText(text: string, path: ProfilePath): string | undefined {
  const parsed = parseTemplate(text)
  if (!parsed.ok) return parsed.problem
  if (parsed.variables.length === 0 || !isFixed(path)) return undefined
  return `${String(path.at(-1))} must be the same on every device: it takes no variables.`
}

function isFixed(path: ProfilePath): boolean {
  return FIXED_DEPTHS.has(path.length) && FIXED_KEYS.has(String(path.at(-1)))
}

function variablesOf(root: ProfileDict): Pick<ProfileContent, 'variables' | 'needed'> {
  const variables = new Set<string>()
  const needed = new Set<string>()
  visitTexts(root, (text) => {
    const parsed = parseTemplate(text)
    if (!parsed.ok) return
    for (const { name, fallback } of parsed.variables) {
      variables.add(name)
      if (fallback === undefined) needed.add(name)
    }
  })
  return { variables: [...variables].toSorted(), needed: [...needed].toSorted() }
}

function appLockOf(payload: ProfileDict): string[] {
  const app = payload['App']
  if (payload['PayloadType'] !== APP_LOCK || !isProfileDict(app)) return []
  const identifier = app['Identifier']
  return typeof identifier === 'string' && identifier !== '' && !identifier.includes('{{') ? [identifier] : []
}

function textAt(dict: ProfileDict, key: string): string {
  const value = dict[key]
  return typeof value === 'string' ? value : ''
}

function canonical(value: ProfileValue): unknown {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return [value]
  if (value instanceof WrittenNumber)
    return ['number', value.kind, value.kind === 'real' ? Number(value.text) : integerText(value.text)]
  if (value instanceof Date) return ['date', value.getTime()]
  if (value instanceof Uint8Array) return ['data', hash('sha256', value)]
  if (Array.isArray(value)) return ['array', value.map(canonical)]
  const members = Object.entries(value).map(([key, member]) => [key, canonical(member)])
  return ['dict', members.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1))]
}

/** `BigInt` knows a sign before decimal digits alone. */
function integerText(text: string): string {
  const digits = BigInt(text.replace(/^[+-]/, ''))
  return String(text.startsWith('-') ? -digits : digits)
}

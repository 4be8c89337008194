import { AppError } from '../../kernel/errors.ts'
import { jsonPointer } from '../../kernel/json.ts'
import { isDict, parsePlist, writePlist, type PlistDict, type PlistValue } from '../plist/index.ts'

const HIDDEN = '********'
/** The same as data in JSON. */
const HIDDEN_DATA = Buffer.from(HIDDEN).toString('base64')
/** Words in the keys of Apple's commands and profiles whose values are secrets; `PIN` is one by itself. */
const SECRET_WORDS = ['password', 'passcode', 'passphrase', 'token', 'secret', 'privatekey', 'challenge']
/** Keys whose data is a profile, which may hold secrets of its own. */
const PROFILES: ReadonlySet<string> = new Set(['Payload', 'WiFiProfileData', 'MDMProfileData'])
/** Payloads whose data is a private key, with its certificate. */
const IDENTITIES: ReadonlySet<unknown> = new Set(['com.apple.security.pkcs12'])
/** How a signed message in DER begins. */
const DER = 0x30

/**
 * The plist of a command for people to look at: texts and data under the keys of PINs, passwords, tokens and keys are
 * hidden, in the profiles that it carries too; a profile that is signed, or cannot be read, is hidden as a whole. Without any it is as
 * it was given.
 */
export function redactCommand(body: Buffer): Buffer {
  const shown = redacted(body)
  return typeof shown === 'string' ? body : shown
}

function redacted(bytes: Uint8Array): Buffer<ArrayBuffer> | 'unreadable' | 'as_it_is' {
  let hasHidden = false
  const hide = (key: string, value: PlistValue): PlistValue => {
    const after = hidden(key, value)
    if (after !== undefined) hasHidden = true
    return after ?? walk(value, key)
  }
  const walk = (value: PlistValue, key: string): PlistValue => {
    if (Array.isArray(value)) return value.map((item) => hide(key, item))
    if (!isDict(value)) return value
    const copy = { __proto__: null } as unknown as PlistDict
    const isIdentity = IDENTITIES.has(value['PayloadType'])
    for (const [name, member] of Object.entries(value))
      copy[name] = hide(isIdentity && name === 'PayloadContent' ? 'Secret' : name, member)
    return copy
  }
  const value = attempt(() => parsePlist(bytes))
  if (value === undefined) return 'unreadable'
  const shown = walk(value, '')
  if (!hasHidden) return 'as_it_is'
  return attempt(() => Buffer.from(writePlist(shown))) ?? Buffer.from(HIDDEN)
}

function attempt<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}

/** What stands in the place of a value; undefined for one that may be shown, or looked into. */
function hidden(key: string, value: PlistValue): PlistValue | undefined {
  if (typeof value === 'string') return isSecret(key) ? HIDDEN : undefined
  if (!(value instanceof Uint8Array)) return undefined
  if (isSecret(key) || (PROFILES.has(key) && value[0] === DER)) return Buffer.from(HIDDEN)
  if (!PROFILES.has(key)) return undefined
  const shown = redacted(value)
  if (shown === 'as_it_is') return undefined
  return shown === 'unreadable' ? Buffer.from(HIDDEN) : shown
}

function isSecret(key: string): boolean {
  const name = key.toLowerCase()
  return name === 'pin' || SECRET_WORDS.some((word) => name.includes(word))
}

/** Where in the keys of a command, as JSON, something stands that was hidden: JSON pointers below `at`. */
export function hiddenPlaces(value: unknown, at: string): string[] {
  if (typeof value === 'string') return value === HIDDEN || value === HIDDEN_DATA ? [at] : []
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, member]) => hiddenPlaces(member, at + jsonPointer([key])))
}

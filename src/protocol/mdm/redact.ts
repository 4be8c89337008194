import { AppError } from '../../kernel/errors.ts'
import { isDict, parsePlist, writePlist, type PlistDict, type PlistValue } from '../plist/index.ts'

const HIDDEN = '********'
/** Words in the keys of Apple's commands and profiles whose values are secrets; `PIN` is one by itself. */
const SECRET_WORDS = ['password', 'passcode', 'passphrase', 'token', 'secret', 'privatekey']
/** Keys whose data is a profile, which may hold secrets of its own. */
const PROFILES: ReadonlySet<string> = new Set(['Payload', 'WiFiProfileData', 'MDMProfileData'])
/** How a signed message in DER begins. */
const DER = 0x30

/**
 * The plist of a command for people to look at: texts and data under the keys of PINs, passwords, tokens and keys are
 * hidden, in the profiles that it carries too; a signed profile is hidden as a whole. Without any it is as it was given.
 */
export function redactCommand(body: Buffer): Buffer {
  return redacted(body) ?? body
}

function redacted(bytes: Uint8Array): Buffer | undefined {
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
    for (const [name, member] of Object.entries(value)) copy[name] = hide(name, member)
    return copy
  }
  const value = attempt(() => parsePlist(bytes))
  // What is no property list holds nothing that could be told apart.
  if (value === undefined) return undefined
  const shown = walk(value, '')
  if (!hasHidden) return undefined
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
  return PROFILES.has(key) ? (redacted(value) as Buffer<ArrayBuffer> | undefined) : undefined
}

function isSecret(key: string): boolean {
  const name = key.toLowerCase()
  return name === 'pin' || SECRET_WORDS.some((word) => name.includes(word))
}

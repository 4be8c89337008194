import { parse } from 'plist'
import { AppError } from '../../kernel/errors.ts'
import { parsePlist } from '../plist/index.ts'

/** Longest text that is taken from an Info.plist. */
const MAX_TEXT = 255
const MAX_PLATFORMS = 16
const IDENTIFIER = /^[A-Za-z0-9.-]{1,255}$/
const VERSION = /^[\x21-\x7e]{1,64}$/
const OS_VERSION = /^\d{1,5}(?:\.\d{1,5}){0,3}$/

/** What an IPA says of its app (Apple: Information Property List). */
export interface IpaFacts {
  /** CFBundleIdentifier. */
  identifier: string
  /** CFBundleVersion. */
  version: string
  /** CFBundleShortVersionString. */
  short_version: string | null
  /** MinimumOSVersion. */
  min_os_version: string | null
  /** CFBundleDisplayName, or CFBundleName, or the identifier. */
  display_name: string
  /** CFBundleSupportedPlatforms, such as `iPhoneOS`. */
  platforms: string[]
}

/** Reads an Info.plist, XML or binary. Throws AppError `package_invalid`. */
export function readInfoPlist(bytes: Buffer): IpaFacts {
  const dict = readDict(bytes)
  const identifier = textOf(dict, 'CFBundleIdentifier')
  if (identifier === null || !IDENTIFIER.test(identifier)) {
    throw invalid('Its Info.plist has no CFBundleIdentifier that can be one.')
  }
  const version = textOf(dict, 'CFBundleVersion')
  if (version === null || !VERSION.test(version)) {
    throw invalid('Its Info.plist has no CFBundleVersion that can be one.')
  }
  const short = textOf(dict, 'CFBundleShortVersionString')
  const least = textOf(dict, 'MinimumOSVersion')
  return {
    identifier,
    version,
    short_version: short !== null && VERSION.test(short) ? short : null,
    min_os_version: least !== null && OS_VERSION.test(least) ? least : null,
    display_name: textOf(dict, 'CFBundleDisplayName') ?? textOf(dict, 'CFBundleName') ?? identifier,
    platforms: platformsOf(dict),
  }
}

function readDict(bytes: Buffer): object {
  let value: unknown
  try {
    const isBinary = bytes.toString('latin1', 0, 6) === 'bplist'
    const text = isBinary ? '' : xmlOf(bytes)
    // The library knows no bounds, and prints what it cannot read: our own reader looks first.
    const own = parsePlist(bytes)
    value = isBinary ? own : parse(text)
  } catch (error) {
    if (error instanceof AppError && error.code === 'package_invalid') throw error
    throw invalid('Its Info.plist cannot be read.')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid('Its Info.plist is no dictionary.')
  }
  return value
}

/** The text of an XML list without declarations of its own, which Apple's tools never write. */
function xmlOf(bytes: Buffer): string {
  const isWide = bytes[0] === 0xfe || bytes[0] === 0xff
  const encoding = isWide ? (bytes[0] === 0xfe ? 'utf-16be' : 'utf-16le') : 'utf-8'
  const text = new TextDecoder(encoding, { fatal: true }).decode(bytes)
  if (text.includes('<!ENTITY') || text.includes('<!ATTLIST') || text.includes('<!ELEMENT')) {
    throw invalid('Its Info.plist declares entities.')
  }
  return text
}

function textOf(dict: object, key: string): string | null {
  const value: unknown = Object.hasOwn(dict, key) ? (dict as Record<string, unknown>)[key] : undefined
  if (typeof value !== 'string') return null
  const text = value
    .replaceAll(/\p{Cc}/gu, ' ')
    .trim()
    .toWellFormed()
  return text === '' || text.length > MAX_TEXT ? null : text
}

function platformsOf(dict: object): string[] {
  const value: unknown = (dict as Record<string, unknown>)['CFBundleSupportedPlatforms']
  if (!Array.isArray(value)) return []
  return value
    .filter((each): each is string => typeof each === 'string' && /^[A-Za-z0-9]{1,32}$/.test(each))
    .slice(0, MAX_PLATFORMS)
}

function invalid(message: string): AppError {
  return new AppError('package_invalid', message)
}

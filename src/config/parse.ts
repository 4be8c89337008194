import { isIP } from 'node:net'
import { isLoopbackHost } from '../kernel/loopback.ts'
import { withoutFinalSlashes } from '../kernel/urls.ts'

/*
 * One function per kind of setting. Each takes the text and gives the value, or throws an Error whose message goes
 * on after "<variable> ..."; none repeats a text that may hold a secret.
 */

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
const TRUSTS = ['off', 'log', 'enforce'] as const
const ADMIN_TOKEN_MIN_LENGTH = 32
const SECRET_KEY_BYTES = 32
/** RFC 1035, section 2.3.4. */
const MAX_HOST_NAME = 253

/** Levels of pino, lowest first. */
export type LogLevel = (typeof LOG_LEVELS)[number]

/** What an untrusted signature of a MachineInfo leads to. */
export type MachineInfoTrust = (typeof TRUSTS)[number]

function oneOf<T extends string>(list: readonly T[]): (text: string) => T {
  return (text) => {
    const found = list.find((item) => item === text)
    if (found === undefined) throw new Error(`must be one of ${list.join(', ')}, not "${text}"`)
    return found
  }
}

/** A level of pino. */
export const parseLogLevel = oneOf(LOG_LEVELS)

/** `off`, `log` or `enforce`. */
export const parseTrust = oneOf(TRUSTS)

/** A TCP port; 0 asks the system for a free one. */
export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (!(port <= 65535)) throw new Error(`must be a port (1 to 65535, or 0 for any free one), not "${text}"`)
  return port
}

/** An address or host name to listen on, without scheme and port. */
export function parseHost(text: string): string {
  const isName = text.length <= MAX_HOST_NAME && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(text)
  // Digits and dots alone are a mistyped address, not a name.
  if (isIP(text) === 0 && (!isName || /^[\d.]+$/.test(text))) {
    throw new Error(`must be an IP address or a host name, not "${text}"`)
  }
  return text
}

function parseHttpUrl(text: string): URL {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) throw new Error('must be an https:// address')
  if (url.username !== '' || url.password !== '') throw new Error('must not hold a user name or password')
  if (url.search !== '' || url.hash !== '') throw new Error('must not have a query or fragment')
  if (url.protocol === 'http:' && !isLoopbackHost(url.hostname)) {
    throw new Error('must be https; plain http is for loopback addresses only')
  }
  return url
}

/** The address devices are told: scheme, host and port, without a final slash. */
export function parsePublicUrl(text: string): string {
  const url = parseHttpUrl(text)
  if (url.pathname !== '/') throw new Error('must not have a path: devices reach this server at the root')
  return url.origin
}

/** The base address of a service that we call, without a final slash; it may have a path. */
export function parseServiceUrl(text: string): string {
  const url = parseHttpUrl(text)
  return url.origin + withoutFinalSlashes(url.pathname)
}

/** A PostgreSQL address. It may hold a password, so no message repeats it. */
export function parseDatabaseUrl(text: string): string {
  if (!/^postgres(ql)?:\/\//.test(text)) throw new Error('must begin with postgres:// or postgresql://')
  if (!URL.canParse(text)) throw new Error('is not a well-formed address (special characters need %-escapes)')
  return text
}

function isAddressOrRange(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/')
  const family = isIP(address)
  if (family === 0 || more.length > 0) return false
  if (bits === undefined) return true
  return /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)
}

/** Comma-separated IP addresses and CIDR ranges. */
export function parseProxies(text: string): readonly string[] {
  const items = text.split(',').map((item) => item.trim())
  const bad = items.filter((item) => !isAddressOrRange(item))
  if (bad.length > 0) {
    const shown = bad.map((item) => `"${item}"`).join(', ')
    throw new Error(`must be IP addresses or ranges such as 10.0.0.0/8, separated by commas; not ${shown}`)
  }
  return items
}

/** Whether something may be. */
export function parseFlag(text: string): boolean {
  if (text !== 'true' && text !== 'false') throw new Error(`must be true or false, not "${text}"`)
  return text === 'true'
}

/** A header field name (RFC 9110, section 5.1), in lower case as Node gives them. */
export function parseHeaderName(text: string): string {
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(text))
    throw new Error(`must be the name of a header, not "${text}"`)
  return text.toLowerCase()
}

/** 32 bytes in base64 or base64url, with or without padding. */
export function parseSecretKey(text: string): Buffer {
  const isBase64 = /^[A-Za-z0-9+/_-]{43}=?$/.test(text)
  const key = Buffer.from(text, 'base64')
  if (!isBase64 || key.length !== SECRET_KEY_BYTES) {
    throw new Error('must be 32 bytes in base64 (make one with: openssl rand -base64 32)')
  }
  return key
}

/** An API token given by the operator: 32 or more characters that may stand in an Authorization header. */
export function parseAdminToken(text: string): string {
  if (text.length < ADMIN_TOKEN_MIN_LENGTH) {
    throw new Error(`must have ${ADMIN_TOKEN_MIN_LENGTH} characters or more, not ${text.length}`)
  }
  if (!/^[\x21-\x7e]+$/.test(text))
    throw new Error('must be made of visible ASCII characters, without spaces')
  return text
}

/** A key that was agreed upon with another server: its bytes as they are. */
export function parseSharedKey(text: string): Buffer {
  return Buffer.from(text, 'utf8')
}

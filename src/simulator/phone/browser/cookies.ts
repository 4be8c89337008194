import { isIP } from 'node:net'
import type { Clock } from '../../../kernel/clock.ts'
import { isLoopbackHost } from '../../../kernel/loopback.ts'

interface Cookie {
  name: string
  value: string
  domain: string
  hostOnly: boolean
  path: string
  secure: boolean
  sameSite: 'strict' | 'lax' | 'none'
  /** Milliseconds since 1970; for ever when infinite. */
  until: number
}

/** The cookies of a web view (RFC 6265bis); none yet. */
export function createCookieJar(clock: Clock) {
  const cookies = new Map<string, Cookie>()
  const time = () => clock.now().getTime()

  return {
    /** Takes a Set-Cookie header; gives why it is refused. */
    take(header: string, url: URL): string | undefined {
      const [pair = '', ...rest] = header.split(';').map((part) => part.trim())
      const equals = pair.indexOf('=')
      if (equals < 1) return `no name=value in ${pair}`
      const attributes = new Map(rest.map(splitAttribute))
      const cookie: Cookie = {
        name: pair.slice(0, equals),
        value: pair.slice(equals + 1),
        domain: (attributes.get('domain') ?? url.hostname).replace(/^\./, '').toLowerCase(),
        hostOnly: !attributes.has('domain'),
        path: pathOf(attributes.get('path'), url),
        secure: attributes.has('secure'),
        sameSite: readSameSite(attributes.get('samesite')),
        until: readEnd(attributes, time()),
      }
      const problem = problemOf(cookie, url)
      if (problem !== undefined) return `${cookie.name}: ${problem}`
      const key = [cookie.name, cookie.domain, cookie.path].join('\n')
      if (cookie.until <= time()) cookies.delete(key)
      else cookies.set(key, cookie)
      return undefined
    },
    /** The Cookie header of a request; undefined when there is none. `crossSite`: another site led there. */
    header(url: URL, { crossSite, method }: { crossSite: boolean; method: string }): string | undefined {
      const sent = [...cookies.values()].filter((cookie) => {
        const held =
          crossSite && (cookie.sameSite === 'strict' || (cookie.sameSite === 'lax' && method !== 'GET'))
        return !held && cookie.until > time() && fits(cookie, url)
      })
      const byPath = sent.toSorted((a, b) => b.path.length - a.path.length)
      return sent.length === 0 ? undefined : byPath.map(({ name, value }) => `${name}=${value}`).join('; ')
    },
  }
}

/** What counts as one site: scheme and the last two labels; an address is a site of its own, whatever the port. */
export function siteOf(url: URL): string {
  return `${url.protocol}//${domainOf(url.hostname)}`
}

/** The last two labels of a host name; an address as it is. */
export function domainOf(hostname: string): string {
  const host = hostname.replace(/^\[|\]$/g, '')
  return isIP(host) === 0 ? host.split('.').slice(-2).join('.') : host
}

function splitAttribute(part: string): [string, string] {
  const equals = part.indexOf('=')
  const name = equals < 0 ? part : part.slice(0, equals)
  return [name.trim().toLowerCase(), equals < 0 ? '' : part.slice(equals + 1).trim()]
}

function readSameSite(value: string | undefined): Cookie['sameSite'] {
  const given = value?.toLowerCase()
  return given === 'strict' || given === 'none' ? given : 'lax'
}

function pathOf(given: string | undefined, url: URL): string {
  if (given?.startsWith('/') === true) return given
  return url.pathname.slice(0, url.pathname.lastIndexOf('/')) || '/'
}

function readEnd(attributes: ReadonlyMap<string, string>, now: number): number {
  const age = Number(attributes.get('max-age') ?? Number.NaN)
  if (!Number.isNaN(age)) return age <= 0 ? 0 : now + age * 1_000
  const expires = Date.parse(attributes.get('expires') ?? '')
  return Number.isNaN(expires) ? Infinity : expires
}

function problemOf(cookie: Cookie, url: URL): string | undefined {
  const isSafe = url.protocol === 'https:' || isLoopbackHost(url.hostname)
  if (cookie.secure && !isSafe) return 'Secure over plain http'
  if (cookie.sameSite === 'none' && !cookie.secure) return 'SameSite=None without Secure'
  if (!cookie.hostOnly && !isWithin(url.hostname, cookie.domain))
    return `for a foreign domain ${cookie.domain}`
  const isHostCookie = cookie.secure && cookie.hostOnly && cookie.path === '/'
  if (cookie.name.startsWith('__Host-') && !isHostCookie) return '__Host- needs Secure, Path=/ and no Domain'
  if (cookie.name.startsWith('__Secure-') && !cookie.secure) return '__Secure- needs Secure'
  return undefined
}

function isWithin(hostname: string, domain: string): boolean {
  return hostname === domain || (isIP(hostname) === 0 && hostname.endsWith(`.${domain}`))
}

function fits(cookie: Cookie, url: URL): boolean {
  const hostFits = cookie.hostOnly ? url.hostname === cookie.domain : isWithin(url.hostname, cookie.domain)
  const prefix = cookie.path.endsWith('/') ? cookie.path : `${cookie.path}/`
  const pathFits = url.pathname === cookie.path || url.pathname.startsWith(prefix)
  const isSafe = url.protocol === 'https:' || isLoopbackHost(url.hostname)
  return hostFits && pathFits && (isSafe || !cookie.secure)
}

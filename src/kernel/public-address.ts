import { lookup as lookUp } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { AppError } from './errors.ts'
import { isLoopbackHost } from './loopback.ts'
import { UpstreamError } from './upstream-error.ts'

/** What is not the public internet: IANA's registries of special addresses (RFC 6890), and multicast. */
const NOT_PUBLIC_IPV4 = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
  ...['192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15'],
  ...['198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4'],
]
/** Of IPv6 only 2000::/3 is public, and of that not what carries IPv4 addresses or stands in examples. */
const PUBLIC_IPV6 = blockList(['2000::/3'], 'ipv6')
const NOT_PUBLIC_IPV6 = blockList(['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'], 'ipv6')
const BLOCKED_IPV4 = blockList(NOT_PUBLIC_IPV4, 'ipv4')
/** IPv4 written as IPv6, and behind NAT64 (RFC 6052): what counts is the address in it. */
const MAPPED = blockList(['::ffff:0:0/96', '64:ff9b::/96'], 'ipv6')

/** Whether an IP address belongs to the public internet: not private, loopback, link-local, shared, reserved or multicast. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 4) return !BLOCKED_IPV4.check(address, 'ipv4')
  if (isIP(address) !== 6 || address.includes('%')) return false
  if (MAPPED.check(address, 'ipv6')) return isPublicAddress(lastFourBytes(address))
  return PUBLIC_IPV6.check(address, 'ipv6') && !NOT_PUBLIC_IPV6.check(address, 'ipv6')
}

/** Which addresses of other people's choice may be called. */
export type AddressCheck = ReturnType<typeof createAddressCheck>

/**
 * Judges addresses that somebody has written down for the server to call: https, and, unless `allowPrivate`, only to the public
 * internet. With `allowPrivate` plain http to loopback may be as well.
 */
export function createAddressCheck(options: { allowPrivate: boolean; lookup?: LookupFunction }) {
  const { allowPrivate, lookup: find = lookUp } = options

  /** Looks up a name; what is connected to is what was judged. Fails when one of its addresses may not be called. */
  const lookup: LookupFunction = (hostname, wanted, callback) =>
    find(hostname, { ...wanted, all: true }, (error, found) => {
      if (error !== null) return callback(error, [])
      const addresses = Array.isArray(found) ? found : []
      const refused = allowPrivate ? undefined : addresses.find(({ address }) => !isPublicAddress(address))
      if (refused !== undefined) return callback(notPublic(hostname, refused.address), [])
      if (wanted.all === true) return callback(null, addresses)
      const [first] = addresses
      return callback(null, first?.address ?? '', first?.family)
    })

  /** What stands in the address itself. Throws UpstreamError `not_allowed`. */
  function checkText(text: string): URL {
    if (!URL.canParse(text)) throw new UpstreamError('not_allowed', 'This is no URL.')
    const url = new URL(text)
    const host = url.hostname.replace(/^\[|\]$/g, '')
    if (url.username !== '' || url.password !== '')
      throw new UpstreamError('not_allowed', 'The address must not hold a user name or password.')
    const isPlainLoopback = allowPrivate && url.protocol === 'http:' && isLoopbackHost(host)
    if (url.protocol !== 'https:' && !isPlainLoopback)
      throw new UpstreamError('not_allowed', `The address of ${url.host} must be https.`)
    if (!allowPrivate && (isLoopbackHost(host) || (isIP(host) !== 0 && !isPublicAddress(host))))
      throw notPublic(host, host)
    return url
  }

  return {
    checkText,
    lookup,
    /**
     * Whether an address may be written down: what stands in it, and what its name means now. Throws AppError `upstream_refused`. A
     * name that means nothing now may come to mean something; it is judged again at each call.
     */
    async check(text: string): Promise<void> {
      const { hostname } = checkText(text)
      if (isIP(hostname.replace(/^\[|\]$/g, '')) !== 0) return
      const error = await new Promise<Error | null>((resolve) => lookup(hostname, { all: true }, resolve))
      if (error instanceof AppError) throw error
    },
  }
}

function notPublic(host: string, address: string): UpstreamError {
  const of = host === address ? host : `${host} (${address})`
  return new UpstreamError(
    'not_allowed',
    `${of} is no address of the public internet; FIRSTBOOT_ALLOW_PRIVATE_WEBHOOKS=true allows others.`,
  )
}

function blockList(ranges: readonly string[], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList()
  for (const range of ranges) {
    const [address = '', bits] = range.split('/')
    list.addSubnet(address, Number(bits), family)
  }
  return list
}

/** The IPv4 address at the end of an IPv6 one, in whichever way it is written. */
function lastFourBytes(address: string): string {
  // A URL writes an address in one way: the last 32 bits are two groups.
  const { hostname } = new URL(`http://[${address}]`)
  const groups = hostname.slice(1, -1).split(':').slice(-2)
  const [high, low] = groups.map((group) => Number.parseInt(group === '' ? '0' : group, 16))
  const bits = ((high ?? 0) << 16) | (low ?? 0)
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.')
}

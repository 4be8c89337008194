import { BlockList, isIP } from 'node:net'

/** Whether the peer with this address is one of our proxies. */
export type TrustsPeer = (address: string | undefined) => boolean

/** `proxies` are addresses and CIDR ranges; IPv4 ones match in their IPv6-mapped spelling too. */
export function createTrust(proxies: readonly string[]): TrustsPeer {
  if (proxies.length === 0) return () => false
  const list = new BlockList()
  for (const proxy of proxies) {
    const [address = '', bits] = proxy.split('/')
    const family = familyOf(address)
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return (address) => address !== undefined && isIP(address) !== 0 && list.check(address, familyOf(address))
}

/** Whether the address is of this very machine. */
export const isLoopback: TrustsPeer = createTrust(['127.0.0.0/8', '::1'])

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4'
}

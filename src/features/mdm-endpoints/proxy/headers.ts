import type { IncomingHttpHeaders } from 'node:http'

/** What is of one connection alone (RFC 9110, section 7.6.1). */
const OF_THE_CONNECTION = [
  ...['connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection'],
  ...['te', 'trailer', 'transfer-encoding', 'upgrade'],
]
/** What says who asks, and from where: only this server says that. */
const OF_THE_SENDER = ['host', 'content-length', 'expect', 'mdm-signature', 'forwarded', 'via', 'x-real-ip']
const SAID_HERE = /^x-(enrollment|trace|forwarded)-/

/** The headers of a device as they go on; `identity` says who it is, `secret` is the header of its certificate. */
export function headersOnward(
  headers: IncomingHttpHeaders,
  { identity, secret }: { identity: Record<string, string>; secret: string | null },
): Record<string, string> {
  const dropped = new Set([...OF_THE_SENDER, ...(secret === null ? [] : [secret])])
  const kept = withoutConnection(headers).filter(([name]) => !dropped.has(name) && !SAID_HERE.test(name))
  const texts = kept.map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value] as const)
  return { ...Object.fromEntries(texts), ...identity }
}

/** The headers of the answer as a device gets them. */
export function headersBack(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  return Object.fromEntries(withoutConnection(headers).filter(([name]) => name !== 'www-authenticate'))
}

function withoutConnection(headers: IncomingHttpHeaders): [string, string | string[]][] {
  const named = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase())
  const dropped = new Set([...OF_THE_CONNECTION, ...named])
  return Object.entries(headers).flatMap(([name, value]): [string, string | string[]][] =>
    value === undefined || dropped.has(name) ? [] : [[name, value]],
  )
}

import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { TrustsPeer } from './proxies.ts'

/**
 * Gives each request its id: the X-Request-Id of a trusted proxy, or one of ours, unique by a random start of the
 * process and a count. Anyone else's header is ignored, so that nobody can forge the log's.
 */
export function createRequestIds(trusts: TrustsPeer): (request: IncomingMessage) => string {
  const start = randomBytes(6).toString('base64url')
  let count = 0
  return (request) => {
    const given = request.headers['x-request-id']
    if (given !== undefined && trusts(request.socket.remoteAddress) && isSane(given)) return given
    count += 1
    return `${start}-${count.toString(36)}`
  }
}

function isSane(id: string | string[]): id is string {
  return typeof id === 'string' && /^[\w.:=+/-]{1,128}$/.test(id)
}

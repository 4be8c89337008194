import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { Db } from '../../../db/index.ts'
import type { HttpClient } from '../../../kernel/http-client.ts'
import { below } from '../../../kernel/urls.ts'
import type { DeviceIdentity } from '../../device-identity/index.ts'
import { refused, type Refused } from '../../enrollment/index.ts'
import type { Events } from '../../events/index.ts'
import { unidentified } from '../unidentified.ts'
import { headersBack, headersOnward } from './headers.ts'

const PREFIX = '/authproxy/'
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

/** What the proxy is made of; `url`: what it stands before, null = nothing, `clientCertHeader`: see Config. */
interface ProxyDeps {
  db: Db
  events: Events
  identity: DeviceIdentity
  http: Pick<HttpClient, 'open'>
  url: string | null
  clientCertHeader: string | null
}

/**
 * `/authproxy/*`: what devices that are enrolled ask of another server, which is told who they are (`X-Enrollment-ID`,
 * `X-Trace-ID`), as NanoMDM's `-auth-proxy-url` does. Nobody else gets through.
 */
export function authProxyRoutes(deps: ProxyDeps): FastifyPluginAsync {
  const { url, http } = deps
  return async (app) => {
    if (url === null) return
    const handler = async (request: FastifyRequest, reply: FastifyReply) => {
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
      const caller = await findDevice(deps, request, body)
      if ('reason' in caller) {
        const { reason, status } = caller
        deps.events.announce({ type: 'message.refused', reason, request_id: request.id })
        return reply.code(status).send()
      }
      const identity = { 'x-enrollment-id': caller.id, 'x-trace-id': request.id }
      const answer = await http.open({
        method: request.method as (typeof METHODS)[number],
        url: below(url, request.raw.url?.slice(PREFIX.length) ?? ''),
        headers: headersOnward(request.headers, { identity, secret: deps.clientCertHeader }),
        ...(body.length > 0 && { body }),
      })
      // What one server wants of the other is nothing that a device can give, and a 401 would unenrol it.
      const status = answer.status === 401 ? 403 : answer.status
      return reply.code(status).headers(headersBack(answer.headers)).send(answer.body)
    }
    app.route({ method: [...METHODS], url: `${PREFIX}*`, config: { largeBodies: true }, handler })
  }
}

/** The device whose certificate a request is made with, if that is the one that it has here. */
async function findDevice(
  { db, identity }: ProxyDeps,
  request: FastifyRequest,
  body: Buffer,
): Promise<{ id: string } | Refused> {
  const caller = await identity.identifyCaller(request.credentials, body, request.proof)
  if ('problem' in caller) return unidentified(caller.problem)
  const bindings = await identity.bindings(db.kysely, caller.fingerprint)
  const own = bindings.find(({ state }) => state === 'active')
  return own === undefined ? refused('certificate_unbound') : { id: own.enrollment_id }
}

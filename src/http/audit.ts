import { isDeepStrictEqual } from 'node:util'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Audit } from '../features/operators/index.ts'
import type { Asked } from '../kernel/act.ts'
import { newSecret } from '../kernel/ids.ts'
import type { Log } from '../kernel/log.ts'
import { isRecord } from '../kernel/records.ts'
import { basicCredentials, bearerToken } from './credentials.ts'
import { isOwn, type OwnView } from './own-view.ts'

/** Most bytes of what is told of a thing before and after a change. */
const MOST_BYTES = 16 * 1024
const MOST_ID_CHARS = 200
const PREFIX = '/api/v1'
const READING = new Set(['GET', 'HEAD', 'OPTIONS'])

type Told = Record<string, unknown> | null

/** What the audit trail is written with. */
export interface AuditDeps {
  audit: Pick<Audit, 'complete' | 'count'>
  log: Log
  view?: OwnView
}

/**
 * Has every request that changes something, and every one that was refused, in the audit trail. The change itself notes
 * who made it; here is added, before the answer goes out, what became of it. `view` tells of things before and after.
 */
export function addAudit(app: FastifyInstance, deps: AuditDeps): void {
  const { audit, log, view } = deps
  const addresses = new WeakMap<FastifyRequest, string>()

  app.decorateRequest('asked')
  app.addHook('onRequest', (request, _reply, done) => {
    request.asked = askedBy(request)
    done()
  })

  app.addHook('preHandler', async (request) => {
    if (READING.has(request.method) || isOwn(request)) return
    const address = view?.addressOf(request)
    if (view === undefined || address === undefined) return
    addresses.set(request, address)
    request.asked.before = await view.at(address)
  })

  app.addHook('onSend', async (request, reply, payload) => {
    try {
      const { operator, refusal, ip } = request
      if (refusal?.code === 'unauthenticated') await audit.count(ip, { secret: secretOf(request) })
      else if (refusal?.code === 'too_many_calls') await audit.count(ip, { actor: operator })
      else if (isWorthAnEntry(request, reply)) await complete(request, reply, payload)
    } catch (error) {
      // What was asked for has been done, or refused, all the same.
      log.error(
        { event: 'audit.write_failed', request_id: request.id, err: error },
        'what became of a request could not be added to the audit trail',
      )
    }
    return payload
  })

  async function complete(request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<void> {
    const { asked, act, refusal } = request
    // Nothing can be written; what was committed all the same is told later.
    if (refusal?.code === 'database_unavailable') return
    const isDone = reply.statusCode < 400
    const location = isDone ? reply.getHeader('location') : undefined
    const address = typeof location === 'string' ? location : addresses.get(request)
    const shown = isDone && address !== undefined ? ((await view?.at(address)) ?? null) : null
    const { before, after } = differing(typeof location === 'string' ? null : (asked.before as Told), shown)
    const object = asked.object && { ...asked.object, id: asked.object.id ?? madeId(location, payload) }
    await audit.complete(asked.entry, {
      ...{
        actor: act.by,
        via: act.via,
        action: asked.action,
        address: asked.address,
        request_id: request.id,
      },
      ...{ object, before: isDone ? bounded(before) : null, after: bounded(after) },
      ...{ outcome: isDone ? 'done' : 'refused', reason: refusal?.code ?? null },
    })
  }
}

function secretOf({ headers }: FastifyRequest): string | undefined {
  return bearerToken(headers) ?? basicCredentials(headers)?.password
}

function isWorthAnEntry(request: FastifyRequest, reply: FastifyReply): boolean {
  if (request.operator === undefined || isOwn(request) || request.routeOptions.url === undefined) return false
  // The first answer, come again: nothing was done.
  if (reply.hasHeader('idempotency-replayed')) return false
  return !READING.has(request.method) || request.asked.isNoted || reply.statusCode === 403
}

function askedBy(request: FastifyRequest): Asked {
  const { method, ip, params } = request
  const route = request.routeOptions.url ?? ''
  const path = route.startsWith(PREFIX) ? route.slice(PREFIX.length) : route
  const kind = path.split('/').find((part) => part !== '' && !/^v\d+$/.test(part))
  const [id] = Object.values(params as Record<string, string>)
  return {
    entry: newSecret(16),
    address: ip,
    action: `${method} ${path.replaceAll(/:(\w+)\??/g, '{$1}')}`,
    object: kind === undefined ? null : { kind, id: id?.slice(0, MOST_ID_CHARS) ?? null },
    before: null,
    isNoted: false,
  }
}

/** The id of what was made, from its address or from what was answered. */
function madeId(location: unknown, payload: unknown): string | null {
  if (typeof location === 'string') return decodeURIComponent(location.split('/').at(-1) ?? '')
  if (typeof payload !== 'string' || payload.length > MOST_BYTES || !payload.startsWith('{')) return null
  const { id, uuid = id } = JSON.parse(payload) as Record<string, unknown>
  return typeof uuid === 'string' ? uuid.slice(0, MOST_ID_CHARS) : null
}

/** Of two views of a thing what differs in them; times of the last change do by nature. */
function differing(before: Told, after: Told): { before: Told; after: Told } {
  if (before === null || after === null) return { before, after }
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (name) => name !== 'updated_at' && !isDeepStrictEqual(before[name], after[name]),
  )
  if (names.length === 0) return { before: null, after: null }
  const pick = (of: Record<string, unknown>) =>
    Object.fromEntries(names.filter((name) => name in of).map((name) => [name, of[name]]))
  return { before: pick(before), after: pick(after) }
}

function bounded(told: Told): unknown {
  const bytes = told === null ? 0 : Buffer.byteLength(JSON.stringify(told))
  if (bytes <= MOST_BYTES || !isRecord(told)) return told
  return { left_out: `${bytes} bytes`, members: Object.keys(told).slice(0, 100) }
}

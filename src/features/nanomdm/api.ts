import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { Act } from '../../kernel/act.ts'
import { AppError } from '../../kernel/errors.ts'
import { CHANNEL_NAMES } from '../../protocol/mdm/index.ts'
import type { Enrollment } from '../devices/index.ts'
import type { Events } from '../events/index.ts'
import type { Push } from '../push/index.ts'
import { inOrder, refusalOf, statusOf, toJsonText, toTimeText, type ApiResult } from './answers.ts'
import { enqueue, pushTo, type EnqueueDeps } from './enqueue.ts'
import { typesOf } from './enrollments.ts'
import { readQuery } from './schema.ts'

const DEFAULT_LIMIT = 100
const MOST = 1_000
/** Most bytes of a body that is no command. */
const SMALL = 1024 * 1024

interface NanomdmDeps extends EnqueueDeps {
  version: string
  events: Pick<Events, 'emit'>
  push: Pick<Push, 'pushNow' | 'certificates'>
  /** DER of the certificate that an enrollment uses. */
  deviceCertificate(id: string): Promise<Buffer | undefined>
  /** The stored UnlockToken. */
  unlockToken(enrollment: Enrollment): Buffer | undefined
}

/** NanoMDM's API, so that its scripts and companions work unchanged (contract, section 6). */
export function nanomdmApi(deps: NanomdmDeps): FastifyPluginAsync {
  return async (app) => {
    app.get('/version', { config: { open: true } }, async (_request, reply) =>
      // In one line, unlike all others.
      bytes(reply, 200, JSON.stringify({ version: deps.version })),
    )

    app.route({
      method: ['GET', 'POST', 'PUT'],
      url: '/v1/push/:ids?',
      config: { role: 'operator', longParams: true },
      handler: async (request, reply) => {
        const ids = idsOf(request)
        return answer(request, reply, await pushTo(deps, ids), ids.length)
      },
    })

    app.route({
      method: ['GET', 'PUT', 'POST'],
      url: '/v1/enqueue/:ids?',
      config: { role: 'operator', longParams: true },
      handler: async (request, reply) => {
        const options = { noPush: Boolean(queryOf(request, 'nopush')), act: request.act }
        const ids = idsOf(request)
        return answer(request, reply, await enqueue(deps, ids, bodyOf(request), options), ids.length)
      },
    })

    app.route({
      method: ['PUT', 'POST'],
      url: '/v1/pushcert',
      config: { role: 'admin' },
      bodyLimit: SMALL,
      handler: async (request, reply) => {
        const pem = bodyOf(request).toString('utf8')
        const { topic, not_after } = await deps.push.certificates.store({ pem }, request.act)
        return json(reply, 200, { not_after: toTimeText(not_after), topic })
      },
    })

    app.get('/v1/pushcert', { config: { role: 'operator' } }, async (request, reply) => {
      const topic = queryOf(request, 'topic')
      const found = topic ? await deps.push.certificates.find(topic) : undefined
      if (!found) throw new AppError('not_found', 'There is no push certificate of that topic.')
      return json(reply, 200, { not_after: toTimeText(found.not_after), topic: found.topic })
    })

    const query = { config: { role: 'operator' }, bodyLimit: SMALL } as const
    app.post('/v1/enrollments/query', query, async (request, reply) => {
      const { limit, offset } = pageOf(request)
      const { filter, options } = readQuery(bodyOf(request))
      if (options?.include_unlock_token) request.requireRole('admin')
      const rows = await deps.devices.queryEnrollments(deps.db.kysely, {
        ...(filter?.ids && { ids: filter.ids }),
        ...(filter?.serials && { serials: filter.serials }),
        ...(filter?.user_short_names && { userShortNames: filter.user_short_names }),
        ...(filter?.types && { types: typesOf(filter.types) }),
        ...(typeof filter?.enabled === 'boolean' && { enabled: filter.enabled }),
        limit: limit + 1,
        offset,
      })
      const enrollments = await Promise.all(
        rows.slice(0, limit).map((row) => render(deps, row, options ?? {})),
      )
      if (options?.include_unlock_token) await tellReadings(deps, rows.slice(0, limit), request.act)
      const next = rows.length > limit ? { next_cursor: String(offset + limit) } : {}
      return json(reply, 200, { enrollments, ...next })
    })

    app.get('/v1/queue/:id', { config: { role: 'operator' } }, async (request, reply) => {
      const { id } = request.params as { id: string }
      const { limit, offset } = pageOf(request)
      const afterSeq = offset > 0 ? { afterSeq: offset } : {}
      const rows = await deps.commands.pendingPlists(id, { limit: limit + 1, ...afterSeq })
      const commands = rows.slice(0, limit).map((row) => ({
        command_uuid: row.uuid,
        request_type: row.request_type,
        command: row.body.toString('base64'),
      }))
      const last = rows.length > limit ? rows[limit - 1] : undefined
      return json(reply, 200, { commands, ...(last && { next_cursor: String(last.seq) }) })
    })

    const many = { config: { role: 'operator', longParams: true } } as const
    app.delete('/v1/queue/:ids?', many, async (request, reply) => {
      const ids = idsOf(request)
      if (ids.length === 0) throw new AppError('invalid_request', 'No enrollment ids were given.')
      await deps.db.transaction((trx) => deps.commands.cancelAll(trx, request.act, ids))
      return reply.code(204).send()
    })
  }
}

async function render(
  deps: NanomdmDeps,
  row: Enrollment,
  options: { include_device_cert?: boolean; include_unlock_token?: boolean },
) {
  const cert = options.include_device_cert ? await deps.deviceCertificate(row.parent_id ?? row.id) : undefined
  const unlock = options.include_unlock_token ? deps.unlockToken(row) : undefined
  return {
    id: row.id,
    type: CHANNEL_NAMES[row.type],
    device: {
      ...(row.serial_number !== null && { serial_number: row.serial_number }),
      ...(cert !== undefined && { device_cert: toPem(cert) }),
      ...(unlock !== undefined && { unlock_token: unlock.toString('base64') }),
    },
    ...(row.parent_id !== null && {
      user: { user_short_name: row.user_short_name ?? '', user_long_name: row.user_long_name ?? '' },
    }),
    enabled: row.unenrolled_at === null && row.token_update_tally > 0,
    token_update_tally: row.token_update_tally,
    last_seen: toTimeText(row.last_seen_at ?? row.created_at),
  }
}

/** Tells, before anybody sees them, whose UnlockTokens are about to be read by whom. */
async function tellReadings(deps: NanomdmDeps, rows: Enrollment[], act: Act) {
  const read = rows.filter((row) => row.unlock_token !== null)
  if (read.length === 0) return
  const facts = read.map((row) => ({
    type: 'unlock_token.read' as const,
    act,
    enrollment_id: row.id,
    serial_number: row.serial_number,
  }))
  await deps.db.transaction((trx) => deps.events.emit(trx, ...facts))
}

function answer(request: FastifyRequest, reply: FastifyReply, result: ApiResult, count: number) {
  const status = statusOf(result, count)
  if (status === 500) request.refusal = refusalOf(result)
  return json(reply, status, inOrder(result))
}

function json(reply: FastifyReply, status: number, value: unknown) {
  return bytes(reply, status, toJsonText(value))
}

/** As bytes: Fastify would add a charset to a text, which NanoMDM's answers do not have. */
function bytes(reply: FastifyReply, status: number, text: string) {
  return reply.code(status).header('content-type', 'application/json').send(Buffer.from(text))
}

function idsOf(request: FastifyRequest): string[] {
  const { ids = '' } = request.params as { ids?: string }
  return [...new Set(ids.split(',').filter((id) => id !== ''))]
}

/** A parameter of the query; of one that is there twice the first. */
function queryOf(request: FastifyRequest, name: string): string | undefined {
  const value = (request.query as Record<string, string | string[] | undefined>)[name]
  return Array.isArray(value) ? value[0] : value
}

function bodyOf(request: FastifyRequest): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
}

function pageOf(request: FastifyRequest): { limit: number; offset: number } {
  const number = (text: string | undefined, standard: number, most: number) => {
    if (text === undefined || text === '') return standard
    if (!/^\d{1,15}$/.test(text))
      throw new AppError('invalid_request', `${text} is not a number that can be used.`)
    return Math.min(Number(text), most)
  }
  return {
    limit: Math.max(1, number(queryOf(request, 'limit'), DEFAULT_LIMIT, MOST)),
    offset: number(queryOf(request, 'cursor') ?? queryOf(request, 'offset'), 0, Number.MAX_SAFE_INTEGER),
  }
}

function toPem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

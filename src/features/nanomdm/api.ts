import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../kernel/errors.ts'
import type { Enrollment } from '../devices/index.ts'
import type { Push } from '../push/index.ts'
import { statusOf, toJsonText, type ApiResult } from './answers.ts'
import { enqueue, pushTo, type EnqueueDeps } from './enqueue.ts'
import { typeName, typesOf } from './enrollments.ts'
import { readQuery } from './schema.ts'

const DEFAULT_LIMIT = 100
const MOST = 1_000

interface NanomdmDeps extends EnqueueDeps {
  version: string
  push: Pick<Push, 'pushNow' | 'certificates'>
  /** DER of the certificate that an enrollment uses. */
  deviceCertificate(id: string): Promise<Buffer | undefined>
  /** The stored UnlockToken. */
  unlockToken(enrollment: Enrollment): Buffer | undefined
}

/** NanoMDM's API, so that its scripts and companions work unchanged (contract, section 6). */
export function nanomdmApi(deps: NanomdmDeps): FastifyPluginAsync {
  return async (app) => {
    app.get('/version', async (_request, reply) => json(reply, 200, { version: deps.version }))

    app.route({
      method: ['GET', 'POST', 'PUT'],
      url: '/v1/push/:ids',
      handler: async (request, reply) => answer(reply, await pushTo(deps, idsOf(request))),
    })

    app.route({
      method: ['PUT', 'POST'],
      url: '/v1/enqueue/:ids',
      handler: async (request, reply) => {
        const { nopush } = request.query as { nopush?: string }
        const options = { noPush: Boolean(nopush), createdBy: `api_token:${request.actor.id}` }
        return answer(reply, await enqueue(deps, idsOf(request), bodyOf(request), options))
      },
    })

    app.put('/v1/pushcert', async (request, reply) => {
      const { topic, not_after } = await deps.push.certificates.store({
        pem: bodyOf(request).toString('utf8'),
      })
      return json(reply, 200, { topic, not_after: not_after.toISOString() })
    })

    app.get('/v1/pushcert', async (request, reply) => {
      const { topic } = request.query as { topic?: string }
      const found = topic ? await deps.push.certificates.find(topic) : undefined
      if (!found) throw new AppError('not_found', 'There is no push certificate of that topic.')
      return json(reply, 200, { topic: found.topic, not_after: found.not_after.toISOString() })
    })

    app.post('/v1/enrollments/query', async (request, reply) => {
      const { limit, offset } = pageOf(request)
      const { filter, options } = readQuery(bodyOf(request))
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
      const next = rows.length > limit ? { next_cursor: String(offset + limit) } : {}
      return json(reply, 200, { enrollments, ...next })
    })

    app.get('/v1/queue/:id', async (request, reply) => {
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

    app.delete('/v1/queue/:ids', async (request, reply) => {
      const ids = idsOf(request)
      await deps.db.transaction((trx) => deps.commands.cancelAll(trx, ids))
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
    type: typeName(row.type),
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
    last_seen: (row.last_seen_at ?? row.created_at).toISOString(),
  }
}

function answer(reply: FastifyReply, result: ApiResult) {
  return json(reply, statusOf(result), result)
}

function json(reply: FastifyReply, status: number, value: unknown) {
  // As bytes: Fastify would add a charset to a text, which NanoMDM's answers do not have.
  return reply
    .code(status)
    .header('content-type', 'application/json')
    .send(Buffer.from(toJsonText(value)))
}

function idsOf(request: FastifyRequest): string[] {
  const { ids } = request.params as { ids: string }
  const list = [...new Set(ids.split(',').filter((id) => id !== ''))]
  if (list.length === 0) throw new AppError('invalid_request', 'No enrollment ids were given.')
  return list
}

function bodyOf(request: FastifyRequest): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
}

function pageOf(request: FastifyRequest): { limit: number; offset: number } {
  const query = request.query as { limit?: string; offset?: string; cursor?: string }
  const number = (text: string | undefined, standard: number, most: number) => {
    if (text === undefined || text === '') return standard
    if (!/^\d{1,15}$/.test(text))
      throw new AppError('invalid_request', `${text} is not a number that can be used.`)
    return Math.min(Number(text), most)
  }
  return {
    limit: Math.max(1, number(query.limit, DEFAULT_LIMIT, MOST)),
    offset: number(query.cursor ?? query.offset, 0, Number.MAX_SAFE_INTEGER),
  }
}

function toPem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

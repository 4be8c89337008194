import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { IdempotencyKeys } from '../features/operators/index.ts'
import { AppError } from '../kernel/errors.ts'
import { sha256 } from '../kernel/ids.ts'
import type { Log } from '../kernel/log.ts'

/** Headers of an answer that belong to what it says. */
const KEPT_HEADERS = ['content-type', 'etag', 'location'] as const
const KEY = /^[\x21-\x7e]{1,255}$/

type Running = { tokenId: string; key: string; startedAt: Date }

/**
 * Answers a POST that repeats an Idempotency-Key with the first one's answer. Only successes are kept: a refused
 * request changed nothing, so it is tried afresh.
 */
export function addIdempotency(app: FastifyInstance, deps: { keys: IdempotencyKeys; log: Log }): void {
  const { keys, log } = deps
  const running = new WeakMap<FastifyRequest, Running>()

  app.addHook('preHandler', async (request, reply) => {
    const key = request.headers['idempotency-key']
    if (request.method !== 'POST' || key === undefined) return
    if (typeof key !== 'string' || !KEY.test(key)) {
      throw new AppError('invalid_request', 'The Idempotency-Key must be 1 to 255 visible ASCII characters.')
    }
    const tokenId = request.operator.id
    const entry = await keys.begin({ tokenId, key, requestHash: hashOf(request) })
    if (entry.kind === 'running') throw new AppError('idempotency_key_in_use')
    if (entry.kind === 'reused') throw new AppError('idempotency_key_reused')
    if (entry.kind === 'answered') return replay(reply, entry.answer)
    running.set(request, { tokenId, key, startedAt: entry.startedAt })
  })

  app.addHook('onSend', async (request, reply, payload) => {
    const entry = running.get(request)
    if (entry === undefined) return payload
    running.delete(request)
    const isSuccess = reply.statusCode < 300
    const isText = payload === undefined || payload === null || typeof payload === 'string'
    try {
      if (isSuccess && isText) await keys.finish({ ...entry, answer: answerOf(reply, payload ?? '') })
      else await keys.abandon(entry)
    } catch (error) {
      // What was asked for has been done (or refused) all the same, and the caller is to know.
      log.error(
        { event: 'http.idempotency_failed', request_id: request.id, err: error },
        'the answer to an Idempotency-Key could not be kept',
      )
    }
    return payload
  })
}

function hashOf(request: FastifyRequest): Buffer {
  const { body } = request
  const content = Buffer.isBuffer(body) ? body.toString('base64') : (JSON.stringify(body) ?? '')
  return sha256(JSON.stringify([request.method, request.url, content]))
}

function answerOf(reply: FastifyReply, body: string) {
  const headers = KEPT_HEADERS.flatMap((name) => {
    const value = reply.getHeader(name)
    return value === undefined ? [] : [[name, String(value)]]
  })
  return { status: reply.statusCode, headers: Object.fromEntries(headers) as Record<string, string>, body }
}

function replay(
  reply: FastifyReply,
  answer: { status: number; headers: Record<string, string>; body: string },
): FastifyReply {
  return reply
    .code(answer.status)
    .headers({ ...answer.headers, 'idempotency-replayed': 'true' })
    .send(answer.body === '' ? undefined : answer.body)
}

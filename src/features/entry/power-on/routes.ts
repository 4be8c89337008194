import type { FastifyPluginAsync, FastifyReply } from 'fastify'
import { PROFILE_HEADERS } from '../profile.ts'
import { refuseGuess } from '../refused-guess.ts'
import type { EntryDeps } from './deps.ts'
import type { createPowerOn, PowerOnAnswer } from './native.ts'

/** `POST /enroll/ade/{key}` of the enroll scope: the `url` of ADE profiles. */
export function powerOnRoutes(
  deps: Pick<EntryDeps, 'strangers'>,
  powerOn: ReturnType<typeof createPowerOn>,
): FastifyPluginAsync {
  return async (app) => {
    app.post<{ Params: { key: string } }>('/enroll/ade/:key', async (request, reply) => {
      const answer = await powerOn({
        key: request.params.key,
        body: request.body,
        authorization: request.headers.authorization,
        address: request.ip,
        requestId: request.id,
      })
      if (answer.kind === 'unknown_key') return refuseGuess(deps.strangers, request, 'ade')
      return send(reply.header('cache-control', 'no-store'), answer)
    })
  }
}

function send(reply: FastifyReply, answer: PowerOnAnswer): FastifyReply {
  switch (answer.kind) {
    case 'profile':
      return reply.headers(PROFILE_HEADERS).send(answer.profile)
    case 'sign_in':
      return reply
        .code(401)
        .header('www-authenticate', `Basic realm="${answer.realm}", charset="UTF-8"`)
        .send()
    case 'wait':
      return reply.code(429).header('retry-after', String(answer.seconds)).send()
    case 'unavailable':
      return reply.code(503).send()
    case 'update':
      return reply.code(403).type(answer.contentType).send(answer.body)
    default:
      return reply.code(403).type('text/plain').send()
  }
}

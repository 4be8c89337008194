import type { FastifyPluginAsync } from 'fastify'
import { unlockEscrowKey, type EscrowDeps } from './escrow.ts'

/** Most bytes of the form. */
const SMALL = 64 * 1024

/** `/v1/escrowkeyunlock`: what Apple answers is passed through. */
export function escrowApi(deps: EscrowDeps): FastifyPluginAsync {
  return async (app) => {
    app.route({
      method: ['POST', 'PUT'],
      url: '/v1/escrowkeyunlock',
      config: { role: 'operator' },
      bodyLimit: SMALL,
      handler: async (request, reply) => {
        const form = new URLSearchParams(Buffer.isBuffer(request.body) ? request.body.toString('utf8') : '')
        const { status, headers, body } = await unlockEscrowKey(deps, form, request.act)
        return reply
          .code(status)
          .header('content-type', headers['content-type'] ?? 'application/octet-stream')
          .send(body)
      },
    })
  }
}

import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../kernel/errors.ts'
import { decodeMessageParameter } from '../../protocol/scep/index.ts'
import type { Scep } from './scep.ts'

type Query = Record<string, string | string[] | undefined>

/** `/scep` of the device scope: GetCACaps, GetCACert and PKIOperation, each by GET and POST. */
export function scepRoutes(scep: Scep): FastifyPluginAsync {
  async function answer(
    request: FastifyRequest<{ Querystring: Query }>,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    switch (request.query['operation']) {
      case 'GetCACaps':
        return reply.type('text/plain').send(scep.capabilities())
      case 'GetCACert': {
        const { contentType, body } = scep.certificates()
        return reply.type(contentType).send(body)
      }
      case 'PKIOperation': {
        const certRep = await scep.pkiOperation(messageOf(request), request.id)
        return reply.type('application/x-pki-message').send(certRep)
      }
      case 'GetNextCACert':
        throw new AppError('not_found', 'The next CA certificate is not told ahead.')
      default:
        throw new AppError('scep_invalid', 'The SCEP operation is missing or unknown.')
    }
  }

  return async (app) => {
    app.route({ method: ['GET', 'POST'], url: '/scep', exposeHeadRoute: false, handler: answer })
  }
}

function messageOf(request: FastifyRequest<{ Querystring: Query }>): Buffer {
  if (request.method === 'POST') return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  const { message } = request.query
  if (typeof message !== 'string') throw new AppError('scep_invalid', 'The SCEP message is missing.')
  return decodeMessageParameter(message)
}

import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../kernel/errors.ts'
import { decodeMessageParameter } from '../../protocol/scep/index.ts'
import type { Scep } from './scep.ts'

type Query = Record<string, string | string[] | undefined>

/** Where clients look: at the address of their profile, and at the name that SCEP servers had first. */
const SCEP_URLS = ['/scep', '/scep/pkiclient.exe']

/** `/scep` of the device scope: GetCACaps, GetCACert and PKIOperation, each by GET and POST, in any case. */
export function scepRoutes(scep: Scep): FastifyPluginAsync {
  async function answer(
    request: FastifyRequest<{ Querystring: Query }>,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    switch (parameter(request, 'operation')?.toLowerCase()) {
      case 'getcacaps':
        return reply.type('text/plain').send(scep.capabilities())
      case 'getcacert': {
        const { contentType, body } = scep.certificates()
        return reply.type(contentType).send(body)
      }
      case 'pkioperation': {
        const certRep = await scep.pkiOperation(messageOf(request), {
          request_id: request.id,
          address: request.ip,
        })
        return reply.type('application/x-pki-message').send(certRep)
      }
      case 'getnextcacert':
        throw new AppError('not_found', 'The next CA certificate is not told ahead.')
      default:
        throw new AppError('scep_invalid', 'The SCEP operation is missing or unknown.')
    }
  }

  return async (app) => {
    for (const url of SCEP_URLS)
      app.route({ method: ['GET', 'POST'], url, exposeHeadRoute: false, handler: answer })
  }
}

function messageOf(request: FastifyRequest<{ Querystring: Query }>): Buffer {
  if (request.method === 'POST') return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  const message = parameter(request, 'message')
  if (message === undefined) throw new AppError('scep_invalid', 'The SCEP message is missing.')
  return decodeMessageParameter(message)
}

/** A parameter of the query, in whatever case its name is; undefined when it is not there, or there twice. */
function parameter(request: FastifyRequest<{ Querystring: Query }>, name: string): string | undefined {
  const found = Object.entries(request.query).filter(([key]) => key.toLowerCase() === name)
  const value = found[0]?.[1]
  return found.length === 1 && typeof value === 'string' ? value : undefined
}

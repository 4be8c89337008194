import type { FastifyInstance, FastifyRequest } from 'fastify'
import { AppError } from '../kernel/errors.ts'
import { parseJson } from '../kernel/json.ts'

/** Most bytes of a body where nothing large is meant; routes that take more say so with `bodyLimit`. */
const BODY_LIMIT_BYTES = 256 * 1024
/** Most values and names in a body; routes that take more say so in their `config`. */
const MAX_VALUES = 10_000
const JSON_TYPES = ['application/json', 'application/merge-patch+json']

/** Makes bodies JSON alone, small unless the route says otherwise. A body of no bytes is no body, whatever type it claims. */
export function takeJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    JSON_TYPES,
    { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES },
    (request, body, done) => {
      const bytes = body as Buffer
      try {
        const { maxValues = MAX_VALUES } = request.routeOptions.config
        done(null, bytes.length === 0 ? undefined : parseJson(bytes, maxValues))
      } catch (error) {
        done(error as Error)
      }
    },
  )
  app.addContentTypeParser('*', (request, _payload, done) => {
    if (request.headers['content-length'] === '0') done(null, undefined)
    else done(new AppError('unsupported_media_type'))
  })
}

/** Takes bodies of any type as they are. */
export function takeBytes(app: FastifyInstance, bodyLimit: number): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit }, (_request, body, done) => done(null, body))
}

/** Refuses U+0000 in an address: no column can hold it, and no name of ours has it. */
export function refuseNul(request: FastifyRequest): void {
  if (request.url.includes('%00')) throw new AppError('invalid_request', 'The address has a U+0000 in it.')
}

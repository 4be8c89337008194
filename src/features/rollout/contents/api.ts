import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { etagOf } from '../../../kernel/etag.ts'
import { idParam } from '../../../kernel/schema.ts'
import type { Contents } from './contents.ts'
import { contentsSchema } from './schema.ts'

const params = idParam('The id of the group.')

/** What groups deliver, to read. */
export function contentsApi({ contents }: { contents: Contents }): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/groups/:id/contents',
      {
        config: { role: 'viewer' },
        schema: {
          tags: ['Groups'],
          summary: 'What a group delivers',
          description: 'In the order in which it is delivered.',
          params,
          querystring: Type.Object({}),
          response: { 200: contentsSchema },
        },
      },
      async (request, reply) => {
        const { items, version } = await contents.get(request.params.id)
        return reply.header('etag', etagOf(version)).send({ items })
      },
    )
  }
}

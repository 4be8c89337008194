import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { etagOf } from '../../../kernel/etag.ts'
import { AppError } from '../../../kernel/errors.ts'
import { idParam } from '../../../kernel/schema.ts'
import type { Contents } from '../contents/contents.ts'
import { newContentsSchema, writtenContentsSchema } from '../contents/schema.ts'
import type { Predictions } from './predictions.ts'
import { askedSchema, changesSchema, predictionSchema } from './schema.ts'

const MAX_BODY_BYTES = 4 * 1024 * 1024

/** What devices would get, and writing what groups deliver, which can be tried first. */
export function predictionsApi(deps: {
  predictions: Predictions
  contents: Pick<Contents, 'put'>
}): FastifyPluginAsyncTypebox {
  const { predictions, contents } = deps
  return async (app) => {
    app.post(
      '/predictions',
      {
        config: { role: 'viewer' },
        bodyLimit: MAX_BODY_BYTES,
        schema: {
          tags: ['Deliveries'],
          summary: 'What would this device get, and why',
          description:
            'Of a device, of a serial number that has not come yet (by its policy), or for contents that are only thought of.',
          body: askedSchema,
          response: { 200: predictionSchema },
        },
      },
      async (request) => {
        const { device_id, serial_number } = request.body
        if ((device_id === undefined) === (serial_number === undefined))
          throw new AppError('invalid_request', 'Give either device_id or serial_number.', {
            faults: [{ pointer: '/device_id', detail: 'is needed, or serial_number, and not both' }],
          })
        return predictions.predict(request.body)
      },
    )

    app.put(
      '/groups/:id/contents',
      {
        config: { role: 'operator', etag: true },
        bodyLimit: MAX_BODY_BYTES,
        schema: {
          tags: ['Groups'],
          summary: 'Write what a group delivers',
          description:
            'In place of what it delivered before. With `dry_run` nothing changes, and the answer says what would.',
          params: idParam('The id of the group.'),
          querystring: Type.Object({
            dry_run: Type.Optional(Type.Boolean({ description: 'Only say what would change.' })),
          }),
          body: newContentsSchema,
          response: {
            200: Type.Union([writtenContentsSchema, changesSchema], { description: 'What is, or would be.' }),
          },
        },
      },
      async (request, reply) => {
        const { id } = request.params
        const { items } = request.body
        if (request.query.dry_run === true) return predictions.change(id, items)
        const { version, ...written } = await contents.put(id, items, request.act)
        return reply.header('etag', etagOf(version)).send(written)
      },
    )
  }
}

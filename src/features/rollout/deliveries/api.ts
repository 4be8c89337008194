import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { decodeCursor, encodeCursor, pageOf, pageQuery } from '../../../kernel/paging.ts'
import { idParam, takeNoBody } from '../../../kernel/schema.ts'
import { changeSchema, deliverySchema, retrySchema, stateQuery, statusSchema } from './schema.ts'
import type { Deliveries } from './deliveries.ts'

const TAGS = ['Deliveries']
const deviceParams = idParam('The id of the device.')

/** What devices get, and how far that has come. */
export function deliveriesApi({ deliveries }: { deliveries: Deliveries }): FastifyPluginAsyncTypebox {
  return async (app) => {
    await app.register(ofDevice(deliveries))
    await app.register(ofChanges(deliveries))
    await app.register(status(deliveries))
  }
}

function ofDevice(deliveries: Deliveries): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/devices/:id/deliveries',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'What a device has of its groups, and is to have',
          description: 'In the order in which it is delivered; what is on its way out comes last.',
          params: deviceParams,
          querystring: Type.Object(pageQuery),
          response: { 200: pageOf(deliverySchema) },
        },
      },
      async (request) => deliveries.ofDevice(request.params.id, request.query),
    )

    app.post(
      '/devices/:id/deliveries/retry',
      {
        config: { role: 'operator' },
        preValidation: takeNoBody,
        schema: {
          tags: TAGS,
          summary: 'Try a device’s deliveries again',
          description:
            'What has failed or waits is tried at once; with `force` what is installed is sent again.',
          params: deviceParams,
          body: retrySchema,
          response: { 202: changeSchema },
        },
      },
      async (request, reply) => {
        const change = await deliveries.retryOfDevice(request.params.id, request.body, request.act)
        return reply.code(202).send(tell(change))
      },
    )
  }
}

function ofChanges({ changes }: Deliveries): FastifyPluginAsyncTypebox {
  const params = idParam('The id of the change.')
  return async (app) => {
    app.get(
      '/changes/:id',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'How far a change has come with its devices',
          description: 'Of contents that were written, or of deliveries that are tried again.',
          params,
          response: { 200: changeSchema },
        },
      },
      async (request) => tell(await changes.get(request.params.id)),
    )
    app.post(
      '/changes/:id/stop',
      {
        config: { role: 'operator' },
        schema: {
          tags: TAGS,
          summary: 'Stop a change',
          description:
            'What has not gone out does not (`waiting`, `change_stopped`), until the contents are written again or it is retried.',
          params,
          response: { 202: changeSchema },
        },
      },
      async (request, reply) =>
        reply.code(202).send(tell(await changes.stop(request.params.id, request.act))),
    )
  }
}

function status(deliveries: Deliveries): FastifyPluginAsyncTypebox {
  return async (app) => {
    for (const [path, kind, what] of [
      ['groups', 'group', 'group'],
      ['profiles', 'profile', 'profile'],
      ['apps', 'app', 'app'],
    ] as const) {
      const params = idParam(`The id of the ${what}.`)
      app.get(
        `/${path}/:id/status`,
        {
          config: { role: 'viewer' },
          schema: {
            tags: TAGS,
            summary: `How far the deliveries of the ${what} are`,
            description: 'Counted by state; with `state` the devices are listed.',
            params,
            querystring: Type.Object({ ...pageQuery, ...stateQuery }),
            response: { 200: statusSchema },
          },
        },
        async (request) => {
          const { state, limit, cursor } = request.query
          const found = await deliveries.status(kind, request.params.id, {
            state,
            limit,
            after: decodeCursor(cursor, ['string', 'string', 'string']),
          })
          const { counts, items, last } = found
          if (items === undefined) return { counts }
          const told = items.map((item) => ({ ...item, updated_at: item.updated_at.toISOString() }))
          return { counts, items: told, next_cursor: last === undefined ? null : encodeCursor(last) }
        },
      )
      if (kind === 'group') continue
      app.post(
        `/${path}/:id/deliveries/retry`,
        {
          config: { role: 'operator' },
          preValidation: takeNoBody,
          schema: {
            tags: TAGS,
            summary: `Try the deliveries of the ${what} again`,
            description: 'On all its devices, as a change; with `force` what is installed is sent again.',
            params,
            body: retrySchema,
            response: { 202: changeSchema },
          },
        },
        async (request, reply) => {
          const thing = { kind, id: request.params.id }
          return reply.code(202).send(tell(await deliveries.retryOfThing(thing, request.body, request.act)))
        },
      )
    }
  }
}

function tell<T extends { created_at: Date }>(change: T) {
  return { ...change, created_at: change.created_at.toISOString() }
}

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { eventSchema, toEventId } from './api.ts'
import { CATALOGUE, EVENT_TYPES } from './catalogue.ts'
import type { EventStreams } from './stream.ts'

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store, no-transform',
  // nginx would wait for more before it sends anything on.
  'x-accel-buffering': 'no',
}

/** `/events/stream`, and `/events/schema`, which says what its events hold. */
export function eventStreamApi(deps: {
  eventStreams: Pick<EventStreams, 'open' | 'close'>
}): FastifyPluginAsyncTypebox {
  return async (app) => {
    // Streams would keep a server that stops from closing.
    app.addHook('preClose', deps.eventStreams.close)
    app.get(
      '/events/stream',
      {
        exposeHeadRoute: false,
        config: { role: 'viewer', polled: true },
        schema: {
          tags: ['Events'],
          summary: 'Events as they come (server-sent events)',
          description:
            'Goes on after the event that the header `Last-Event-ID` names, else after `after`, else it begins now. The data of each is an event as in `/events`. Comments come every 15 seconds.',
          querystring: Type.Object({
            after: Type.Optional(Type.String({ description: 'The id of the last event that is known.' })),
            type: Type.Optional(Type.Enum(EVENT_TYPES, { description: 'Only events of this type.' })),
          }),
          response: {
            200: {
              description: 'Events, until one side ends it.',
              content: {
                'text/event-stream': { schema: Type.String({ description: 'Each with `id` and `data`.' }) },
              },
            },
          },
        },
      },
      async (request, reply) => {
        const last = request.headers['last-event-id']
        const { after, type } = request.query
        const position = typeof last === 'string' ? toEventId(last, 'Last-Event-ID') : undefined
        const body = await deps.eventStreams.open({
          after: position ?? (after === undefined ? undefined : toEventId(after, 'after')),
          type,
          isAllowed: () => request.isStillAllowed(),
        })
        return reply.headers(HEADERS).send(body as never)
      },
    )
    app.get(
      '/events/schema',
      {
        config: { role: 'viewer' },
        schema: {
          tags: ['Events'],
          summary: 'The JSON Schema of events',
          description: 'What an event holds, and what the `data` of each type of event holds.',
          response: {
            200: Type.Record(Type.String(), Type.Unknown(), {
              title: 'EventsJsonSchema',
              description: 'A JSON Schema (2020-12).',
            }),
          },
        },
      },
      async () => schema,
    )
  }
}

const { properties, required } = eventSchema
const schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Event',
  description: 'An event of Firstboot, as the API, streams and webhooks tell it.',
  type: 'object',
  properties: { ...properties, type: { enum: EVENT_TYPES, description: 'What happened.' } },
  required,
  oneOf: EVENT_TYPES.map((type) => ({
    title: type,
    description: `${CATALOGUE[type].sentence}.`,
    type: 'object',
    properties: { type: { const: type }, data: CATALOGUE[type].data },
  })),
}

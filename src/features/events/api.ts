import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { AppError } from '../../kernel/errors.ts'
import { actorSchema, text, textOrNull, time, timesQuery } from '../../kernel/schema.ts'
import type { Events } from './events.ts'
import { EVENT_TYPES } from './catalogue.ts'
import type { PublishedEvent } from './types.ts'

/** An event as the API tells it. */
export const eventSchema = Type.Object(
  {
    id: text('Greater than that of every event before; in order and without gaps that fill later.'),
    type: text('What happened, `<thing>.<what became of it>`.'),
    at: time('When it happened.'),
    by: Type.Union([actorSchema, Type.Null()], {
      description: 'Who did it; null = a device, or the server itself.',
    }),
    via: textOrNull(
      'By what way: `api`, `nanomdm`, `cli`, `page`, `device` or `job`; null of events of older versions.',
    ),
    enrollment_id: textOrNull('The device (`/devices/{id}`) that it is about.'),
    serial_number: textOrNull('Its serial number.'),
    user_name: textOrNull('Who it is about.'),
    reason: textOrNull('Why, as a stable code.'),
    attempt_id: textOrNull('The enrollment attempt that it belongs to.'),
    data: Type.Record(Type.String(), Type.Unknown(), { description: 'What else is known, by type.' }),
  },
  { title: 'Event', description: 'A fact worth telling.' },
)

const eventList = Type.Object(
  {
    items: Type.Array(eventSchema, { description: 'The events, at most `limit`.' }),
    next_cursor: textOrNull(
      'The last event that was answered, or the one that was asked for; null when there is none yet.',
    ),
  },
  { title: 'EventFeed', description: 'Events, and from where to go on.' },
)

/** `/events`, oldest first and without gaps: a reader goes on from the last id it has. */
export function eventsApi(deps: { events: Pick<Events, 'list'> }): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/events',
      {
        config: { role: 'viewer', polled: true },
        schema: {
          tags: ['Events'],
          summary: 'What happened, oldest first',
          description:
            'Whoever goes on from the last id sees every event once. 410 `cursor_gone`: what came after that is kept no more.',
          querystring: Type.Object({
            limit: Type.Integer({
              minimum: 1,
              maximum: 1000,
              default: 100,
              description: 'Most items to answer.',
            }),
            ...timesQuery('that happened'),
            after: Type.Optional(Type.String({ description: 'The id of the last event that is known.' })),
            cursor: Type.Optional(Type.String({ description: 'The same as `after`.' })),
            type: Type.Optional(Type.Enum(EVENT_TYPES, { description: 'Only events of this type.' })),
          }),
          response: { 200: eventList },
        },
      },
      async (request) => {
        const { cursor, after = cursor, ...wanted } = request.query
        const rows = await deps.events.list({
          ...wanted,
          ...(after !== undefined && { after: toEventId(after, 'after') }),
        })
        return { items: rows.map(renderEvent), next_cursor: rows.at(-1)?.id.toString() ?? after ?? null }
      },
    )
  }
}

/** An event in the form of the API. */
export function renderEvent(event: PublishedEvent) {
  return { ...event, id: String(event.id), at: event.at.toISOString() }
}

/** Reads the id of an event, as it stands in a query or header of this name. */
export function toEventId(given: string, name: string): number {
  if (!/^\d{1,15}$/.test(given)) throw new AppError('invalid_request', `${name} is not the id of an event.`)
  return Number(given)
}

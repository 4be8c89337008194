import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { AppError } from '../../kernel/errors.ts'
import type { Events } from './events.ts'
import { EVENT_TYPES, type PublishedEvent } from './types.ts'

const textOrNull = Type.Union([Type.String(), Type.Null()])

/** An event as the API tells it. */
const eventSchema = Type.Object({
  id: Type.String(),
  type: Type.String(),
  at: Type.String({ format: 'date-time' }),
  enrollment_id: textOrNull,
  serial_number: textOrNull,
  user_name: textOrNull,
  reason: textOrNull,
  attempt_id: textOrNull,
  data: Type.Record(Type.String(), Type.Unknown()),
})

/** `/events`, oldest first and without gaps: a reader goes on from the last id it has. */
export function eventsApi(deps: { events: Pick<Events, 'list'> }): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/events',
      {
        config: { role: 'viewer' },
        schema: {
          tags: ['Events'],
          summary: 'What happened, oldest first',
          querystring: Type.Object({
            limit: Type.Integer({
              minimum: 1,
              maximum: 1000,
              default: 100,
              description: 'Most items to answer.',
            }),
            after: Type.Optional(Type.String({ description: 'The id of the last event that is known.' })),
            cursor: Type.Optional(Type.String({ description: 'The same as `after`.' })),
            type: Type.Optional(Type.Enum(EVENT_TYPES)),
          }),
          response: { 200: Type.Object({ items: Type.Array(eventSchema), next_cursor: textOrNull }) },
        },
      },
      async (request) => {
        const { limit, type } = request.query
        const after = request.query.after ?? request.query.cursor
        const rows = await deps.events.list({
          ...(after !== undefined && { after: toId(after) }),
          limit,
          type,
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

function toId(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new AppError('invalid_request', 'after is not the id of an event.')
  return Number(text)
}

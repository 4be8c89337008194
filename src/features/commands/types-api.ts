import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { page, pageOf, pageQuery, decodeCursor } from '../../kernel/paging.ts'
import { orNull, text, textOrNull } from '../../kernel/schema.ts'
import { renderType, TYPES } from './types-view.ts'

const word = (what: string) => textOrNull(`${what}; null where it says nothing of that.`)

const platformSchema = Type.Object({
  introduced: word('The first version that has it'),
  deprecated: word('The version since which Apple advises against it'),
  removed: word('The version that has it no more'),
  supervised: Type.Boolean({ description: 'Whether it needs a supervised device.' }),
  automated_enrollment: Type.Boolean({
    description: 'Whether it needs a device that came by automated enrollment.',
  }),
  user_enrollment: Type.Enum(['allowed', 'forbidden', 'required', 'ignored'], {
    description: 'What a user enrollment makes of it.',
  }),
  shared_ipad: orNull(
    Type.Enum(['allowed', 'forbidden', 'required', 'ignored']),
    'What a Shared iPad makes of it; null on other platforms.',
  ),
  channels: Type.Array(Type.Enum(['device', 'user']), { description: 'The channels that take it.' }),
})

const commandTypeSchema = Type.Object(
  {
    request_type: text('Apple’s name of the command.'),
    platforms: Type.Record(Type.String(), platformSchema, {
      description: 'The platforms that have it: ios (iPadOS too), macos, tvos, visionos, watchos.',
    }),
    channels: Type.Array(Type.Enum(['device', 'user']), {
      description: 'The channels that take it anywhere.',
    }),
    supervised: Type.Array(Type.String(), {
      description: 'The platforms on which it needs a supervised device.',
    }),
    replaced_by: textOrNull('What takes its place where it was removed.'),
    keys: Type.Unknown({ description: 'Its keys, as JSON Schema of `command`.' }),
  },
  { title: 'CommandType', description: 'A command of Apple’s schema.' },
)

/** `/command-types`. */
export function commandTypesApi(): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/command-types',
      {
        config: { role: 'viewer' },
        schema: {
          tags: ['Commands'],
          summary: 'The commands that Apple’s schema has, by name',
          description: 'With the platforms that have them, what they need, and their keys.',
          querystring: Type.Object({
            ...pageQuery,
            request_type: Type.Optional(text('Only this one.')),
          }),
          response: { 200: pageOf(commandTypeSchema) },
        },
      },
      async (request) => {
        const { limit, cursor, request_type: only } = request.query
        const [after = ''] = decodeCursor(cursor, ['string']) ?? []
        const wanted = TYPES.filter(
          ({ request_type: name }) => name > after && (only === undefined || only === name),
        )
        const { items, next_cursor } = page(wanted.slice(0, limit + 1), limit, ({ request_type }) => [
          request_type,
        ])
        return { items: items.map(renderType), next_cursor }
      },
    )
  }
}

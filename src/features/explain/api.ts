import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { AppError } from '../../kernel/errors.ts'
import { text, timeOrNull } from '../../kernel/schema.ts'
import type { Explain } from './explain.ts'
import { KINDS } from './matches.ts'
import { EXPLAIN_REASONS } from './reasons.ts'

const matchSchema = Type.Object(
  {
    kind: Type.Enum(KINDS, {
      description:
        'What was meant; ade_device: a serial number at Apple; refusal: what was refused before an attempt could begin (the id is that of its event).',
    }),
    id: text('The id by which the API knows it; of a serial number that itself.'),
    title: text('What people call it.'),
    sentence: text('How it stands and why, in one sentence.'),
    reason: Type.Enum(EXPLAIN_REASONS, { description: 'Why, as a stable code.' }),
    next_step: text('What goes on by itself and what is to be done, in one sentence.'),
    since: timeOrNull('Since when it is so, where that is known.'),
  },
  { title: 'Explanation', description: 'Why something is as it is.' },
)

const matchesSchema = Type.Object(
  {
    matches: Type.Array(matchSchema, {
      description: 'What was meant, the surest first; at most some twenty.',
    }),
  },
  { title: 'Explanations', description: 'What was meant, and why it is as it is.' },
)

/** `/explain`: why something is as it is, in plain words. */
export function explainApi({ explain }: Explain): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/explain',
      {
        config: { role: 'viewer' },
        schema: {
          tags: ['Status'],
          summary: 'Why something is as it is, and what to do',
          description:
            'Of several things that are wrong, what stands in the way of the others is told. A text that nothing is known by has no matches.',
          querystring: Type.Object(
            {
              q: Type.String({
                maxLength: 512,
                description:
                  'A serial number, UDID, enrollment id, IMEI, user name, device name or the beginning of one, or the id of an attempt or a command.',
              }),
            },
            { additionalProperties: false },
          ),
          response: {
            200: matchesSchema,
          },
        },
      },
      async (request) => {
        const { q } = request.query
        if (q.trim() === '') throw new AppError('search_empty', 'q says nothing of what is to be explained.')
        const matches = await explain(q)
        return {
          matches: matches.map(({ kind, id, title, sentence, reason, next_step, since }) => ({
            ...{ kind, id, title, sentence, reason, next_step },
            since: since?.toISOString() ?? null,
          })),
        }
      },
    )
  }
}

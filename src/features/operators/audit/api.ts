import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { pageOf, pageQuery } from '../../../kernel/paging.ts'
import { actorSchema, orNull, text, textOrNull, time, timesQuery } from '../../../kernel/schema.ts'
import type { Audit } from './audit.ts'

const TAGS = ['Audit']

const entrySchema = Type.Object(
  {
    id: text('Its number; the trail has no gaps but at its beginning, where retention deletes.'),
    at: time('When it happened.'),
    actor: orNull(actorSchema, 'Who asked; null = strangers, or the server itself.'),
    via: textOrNull('By what way: `api`, `cli`, `nanomdm`, `page` or `job`; null of strangers.'),
    action: text(
      'Method and route, such as `PATCH /users/{id}`; of a page: the event, such as `user.updated`; `authenticate`: requests without a valid token, counted; `call`: those of a token beyond its limit, counted; `retention`: older entries were deleted.',
    ),
    object: orNull(
      Type.Object({
        kind: text('The first part of its address: `users` of `/users/{id}`.'),
        id: textOrNull('Its id; null where there is one alone.'),
      }),
      'What it was done to.',
    ),
    before: Type.Unknown({
      description: 'What a viewer was told of the object before, as far as that is another; null = nothing.',
    }),
    after: Type.Unknown({ description: 'The same after it.' }),
    address: textOrNull('The address that it was asked from.'),
    request_id: textOrNull('Names the log lines of the request.'),
    outcome: Type.Enum(['done', 'refused'], { description: 'What came of it.' }),
    reason: textOrNull('Why it was refused: the code of the problem.'),
    events: Type.Array(Type.String(), { description: 'Types of the events that it made.' }),
    previous: text('The hash of the entry before it.'),
    hash: text(
      'SHA-256, in hex, of the JSON text of all members before it, in their order and without spaces.',
    ),
  },
  { title: 'AuditEntry', description: 'What somebody did, or tried.' },
)

const head = {
  number: Type.Integer({ description: 'The number of the entry.' }),
  hash: text('Its hash.'),
}

const verdictSchema = Type.Object(
  {
    ok: Type.Boolean({ description: 'Whether every entry is as it was written, and none is missing.' }),
    entries: Type.Integer({ description: 'How many there are.' }),
    first: orNull(Type.Integer(), 'The number of the oldest one.'),
    head: orNull(Type.Object(head), 'The newest one.'),
    faults: Type.Array(Type.Object({ number: head.number, detail: text('What is wrong there.') }), {
      description: 'What is wrong: the first hundred, and the anchor.',
    }),
  },
  { title: 'AuditVerdict', description: 'Whether the audit trail was changed by other means.' },
)

const filter = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 512, description }))

/** `/audit`: who did what, and who tried. */
export function auditApi(deps: { audit: Pick<Audit, 'list' | 'check'> }): FastifyPluginAsyncTypebox {
  const { audit } = deps
  return async (app) => {
    app.get(
      '/audit',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'Who did what, and who tried',
          description: 'Newest first. Secrets are in none of it.',
          querystring: Type.Object({
            ...pageQuery,
            ...timesQuery('that happened'),
            actor: filter('Only by this one: an id or a name.'),
            action: filter('Only of this action.'),
            object: filter('Only about this: an id, or a kind such as `users`.'),
            outcome: Type.Optional(
              Type.Enum(['done', 'refused'], { description: 'Only what was done, or refused.' }),
            ),
          }),
          response: { 200: pageOf(entrySchema) },
        },
      },
      (request) => audit.list(request.query),
    )

    app.get(
      '/audit/check',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'Whether the audit trail was changed by other means',
          description:
            'Every entry names the hash of the one before it. An anchor, told by the event `audit.anchored`, shows a cut end too.',
          querystring: Type.Object({
            anchor: Type.Optional(
              Type.String({
                pattern: '^[0-9]{1,15}:[0-9a-f]{64}$',
                description: 'Number and hash of an entry that must be there, with a colon between them.',
              }),
            ),
          }),
          response: { 200: verdictSchema },
        },
      },
      (request) => {
        const [number, hash] = request.query.anchor?.split(':') ?? []
        return audit.check(
          number === undefined || hash === undefined ? undefined : { number: Number(number), hash },
        )
      },
    )
  }
}

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { etagOf } from '../../../kernel/etag.ts'
import { pageOf, pageQuery } from '../../../kernel/paging.ts'
import { dates, datesOf, nothing, text, TEXT_PATTERN } from '../../../kernel/schema.ts'
import { SECRET_NAME_PATTERN } from '../../../kernel/template.ts'
import type { Secrets } from './secrets.ts'
import type { Secret } from './store.ts'

const TAGS = ['Secrets']
const MAX_VALUE = 65_536

const params = Type.Object({
  name: Type.String({
    pattern: SECRET_NAME_PATTERN,
    description: 'Its name: letters, digits, `_`, `.` and `-`, at most 64.',
  }),
})

const secretSchema = Type.Object(
  {
    id: text('The name.'),
    name: text('Its name; profiles and apps hold it as `{{secret.NAME}}`.'),
    ...dates,
  },
  { title: 'Secret', description: 'A value that is never shown.' },
)

/** `/secrets`: values that profiles and apps name. */
export function secretsApi({ secrets }: { secrets: Secrets }): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.put(
      '/secrets/:name',
      {
        config: { role: 'admin', etag: true },
        schema: {
          tags: TAGS,
          summary: 'Set a secret',
          description:
            'What names it is sent again to the devices that have it. The same value again changes nothing.',
          params,
          body: Type.Object(
            {
              value: Type.String({
                minLength: 1,
                maxLength: MAX_VALUE,
                pattern: TEXT_PATTERN,
                description: 'The value; it is kept sealed and never shown again.',
              }),
            },
            { title: 'SecretValue', description: 'What the secret is.' },
          ),
          response: { 200: secretSchema },
        },
      },
      async ({ params: { name }, body, act }, reply) => tell(reply, await secrets.set(name, body.value, act)),
    )
    app.get(
      '/secrets',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'Secrets by name',
          description: 'Without their values.',
          querystring: Type.Object(pageQuery),
          response: { 200: pageOf(secretSchema) },
        },
      },
      async (request) => {
        const { items, next_cursor } = await secrets.list(request.query)
        return { items: items.map(render), next_cursor }
      },
    )
    app.get(
      '/secrets/:name',
      {
        config: { role: 'viewer', etag: true },
        schema: {
          tags: TAGS,
          summary: 'One secret',
          description: 'Without its value.',
          params,
          response: { 200: secretSchema },
        },
      },
      async (request, reply) => tell(reply, await secrets.get(request.params.name)),
    )
    app.delete(
      '/secrets/:name',
      {
        config: { role: 'admin', etag: true },
        schema: {
          tags: TAGS,
          summary: 'Delete a secret',
          description: 'Refused while a profile or an app names it.',
          params,
          response: { 204: nothing },
        },
      },
      async ({ params: { name }, act }, reply) => {
        await secrets.remove(name, act)
        return reply.code(204).send()
      },
    )
  }
}

function tell(reply: { header(name: string, value: string): unknown }, secret: Secret) {
  reply.header('etag', etagOf(secret.version))
  return render(secret)
}

function render({ name, created_at, updated_at }: Secret) {
  return { id: name, name, ...datesOf({ created_at, updated_at }) }
}

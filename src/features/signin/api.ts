import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { etagOf } from '../../kernel/etag.ts'
import { pageOf, pageQuery } from '../../kernel/paging.ts'
import { idParam, nothing } from '../../kernel/schema.ts'
import { newSourceSchema, sourcePatchSchema, sourceSchema, trialResultSchema, trialSchema } from './schema.ts'
import type { Signin } from './signin.ts'
import type { Source } from './sources/types.ts'

const TAGS = ['Sign-in sources']
const params = idParam('The id of the sign-in source.')

/** `/sign-in-sources`: where people prove who they are. */
export function signinApi(deps: {
  signin: Pick<Signin, 'sources' | 'trySource'>
}): FastifyPluginAsyncTypebox {
  const { sources, trySource } = deps.signin
  return async (app) => {
    app.post(
      '/sign-in-sources',
      {
        config: { role: 'admin', etag: true },
        schema: {
          tags: TAGS,
          summary: 'Add a directory (ws_trust) or an OpenID provider (oidc)',
          description: 'Which fields are needed depends on its kind. It is asked nothing yet.',
          body: newSourceSchema,
          response: { 201: sourceSchema },
        },
      },
      async (request, reply) => {
        const { kind, ...fields } = request.body
        const source = await sources.create(kind, fields, request.act)
        return reply
          .code(201)
          .headers({ location: `/api/v1/sign-in-sources/${source.id}`, etag: etagOf(source.version) })
          .send(render(source))
      },
    )

    app.get(
      '/sign-in-sources',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'Sign-in sources by name',
          description: 'The local one is among them.',
          querystring: Type.Object(pageQuery),
          response: { 200: pageOf(sourceSchema) },
        },
      },
      async (request) => {
        const { items, next_cursor } = await sources.list(request.query)
        return { items: items.map(render), next_cursor }
      },
    )

    app.get(
      '/sign-in-sources/:id',
      {
        config: { role: 'viewer', etag: true },
        schema: {
          tags: TAGS,
          summary: 'One sign-in source',
          description: 'Without its client secret.',
          params,
          response: { 200: sourceSchema },
        },
      },
      async (request, reply) => {
        const source = await sources.get(request.params.id)
        return reply.header('etag', etagOf(source.version)).send(render(source))
      },
    )

    app.patch(
      '/sign-in-sources/:id',
      {
        config: { role: 'admin', etag: true },
        schema: {
          tags: TAGS,
          summary: 'Change a sign-in source',
          description: 'A JSON merge patch; null gives the default. The kind stays.',
          params,
          body: sourcePatchSchema,
          response: { 200: sourceSchema },
        },
      },
      async (request, reply) => {
        const source = await sources.update(request.params.id, request.body, request.act)
        return reply.header('etag', etagOf(source.version)).send(render(source))
      },
    )

    app.delete(
      '/sign-in-sources/:id',
      {
        config: { role: 'admin', etag: true },
        schema: {
          tags: TAGS,
          summary: 'Delete a sign-in source',
          description: 'Refused while a policy or a setting names it; the local one stays.',
          params,
          response: { 204: nothing },
        },
      },
      async (request, reply) => {
        await sources.remove(request.params.id, request.act)
        return reply.code(204).send()
      },
    )

    app.post(
      '/sign-in-sources/:id/test',
      {
        config: { role: 'admin' },
        schema: {
          tags: TAGS,
          summary: 'Try to sign somebody in, and say in plain words what happened',
          description: 'Makes no user. Not for OpenID providers, where people sign in on a page of theirs.',
          params,
          body: trialSchema,
          response: { 200: trialResultSchema },
        },
      },
      async (request) => {
        const { user_name: userName, password } = request.body
        const { ip: address, id: requestId } = request
        return trySource({ id: request.params.id, userName, password, address, requestId })
      },
    )
  }
}

function render(source: Source) {
  const { create_users, links_existing_users, version: _version, ...rest } = source
  return {
    ...rest,
    ...(source.kind === 'local' ? {} : { create_users, links_existing_users }),
    created_at: source.created_at.toISOString(),
    updated_at: source.updated_at.toISOString(),
  }
}

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyPluginAsync } from 'fastify'
import { Type } from 'typebox'
import { pageQuery } from '../../kernel/paging.ts'
import { resourceApi } from '../../kernel/resource-api.ts'
import { datesOf, idParam } from '../../kernel/schema.ts'
import { newSourceSchema, sourcePatchSchema, sourceSchema, trialResultSchema, trialSchema } from './schema.ts'
import type { Signin } from './signin.ts'
import type { Source } from './sources/types.ts'

const TAGS = ['Sign-in sources']
const ID = 'The id of the sign-in source.'

/** `/sign-in-sources`: where people prove who they are. */
export function signinApi(deps: {
  signin: Pick<Signin, 'sources' | 'trySource'>
}): FastifyPluginAsyncTypebox {
  const { sources, trySource } = deps.signin
  return async (app) => {
    await app.register(itself(sources))

    app.post(
      '/sign-in-sources/:id/test',
      {
        config: { role: 'admin' },
        schema: {
          tags: TAGS,
          summary: 'Try to sign somebody in, and say in plain words what happened',
          description: 'Makes no user. Not for OpenID providers, where people sign in on a page of theirs.',
          params: idParam(ID),
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

function itself(sources: Signin['sources']): FastifyPluginAsync {
  return resourceApi({
    path: '/sign-in-sources',
    tags: TAGS,
    id: ID,
    view: sourceSchema,
    render,
    create: {
      summary: 'Add a directory (ws_trust) or an OpenID provider (oidc)',
      description: 'Which fields are needed depends on its kind. It is asked nothing yet.',
      body: newSourceSchema,
      run: ({ kind, ...fields }, act) => sources.create(kind, fields, act),
    },
    list: {
      summary: 'Sign-in sources by name',
      description: 'The local one is among them.',
      query: Type.Object(pageQuery),
      run: sources.list,
    },
    get: { summary: 'One sign-in source', description: 'Without its client secret.', run: sources.get },
    update: {
      summary: 'Change a sign-in source',
      description: 'A JSON merge patch; null gives the default. The kind stays.',
      body: sourcePatchSchema,
      run: sources.update,
    },
    remove: {
      summary: 'Delete a sign-in source',
      description: 'Refused while a policy or a setting names it; the local one stays.',
      run: sources.remove,
    },
  })
}

function render(source: Source) {
  const { create_users, links_existing_users, version: _version, ...rest } = source
  return {
    ...rest,
    ...(source.kind === 'local' ? {} : { create_users, links_existing_users }),
    ...datesOf(source),
  }
}

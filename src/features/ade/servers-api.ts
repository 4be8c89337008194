import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { etagOf } from '../../kernel/etag.ts'
import { pageOf, pageQuery } from '../../kernel/paging.ts'
import { idParam, nothing, textOrNull } from '../../kernel/schema.ts'
import type { AdeDeps } from './deps.ts'
import { keysApi } from './keys-api.ts'
import { serverName, serverSchema } from './servers-schema.ts'
import type { Servers } from './servers/servers.ts'
import type { ServerRow } from './servers/store.ts'
import type { createTokens } from './servers/tokens.ts'
import { showServers } from './servers-view.ts'

const TAGS = ['ADE servers']
const params = idParam('The id of the ADE server.')

/** `/ade-servers`. */
export function serversApi(
  deps: Pick<AdeDeps, 'db' | 'clock'> & { servers: Servers; tokens: ReturnType<typeof createTokens> },
): FastifyPluginAsyncTypebox {
  const { servers } = deps
  const show = async (server: ServerRow) => (await showServers(deps, [server]))[0]!

  return async (app) => {
    await app.register(keysApi(deps))

    app.post(
      '/ade-servers',
      {
        config: { role: 'admin', etag: true },
        schema: {
          tags: TAGS,
          summary: "Add an ADE server: an entry of Apple's portal",
          description:
            'It has an encryption key at once, and needs a server token of Apple’s made for that key.',
          body: Type.Object(
            { name: serverName },
            { title: 'NewAdeServer', description: 'What makes an ADE server.' },
          ),
          response: { 201: serverSchema },
        },
      },
      async (request, reply) => {
        const server = await servers.create(request.body.name, request.act)
        return reply
          .code(201)
          .headers({ location: `/api/v1/ade-servers/${server.id}`, etag: etagOf(server.version) })
          .send(await show(server))
      },
    )

    app.get(
      '/ade-servers',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'ADE servers',
          description: 'Each with its token and how its syncs stand.',
          querystring: Type.Object(pageQuery),
          response: { 200: pageOf(serverSchema) },
        },
      },
      async (request) => {
        const { items, next_cursor } = await servers.list(request.query)
        return { items: await showServers(deps, items), next_cursor }
      },
    )

    app.get(
      '/ade-servers/:id',
      {
        config: { role: 'viewer', etag: true },
        schema: {
          tags: TAGS,
          summary: 'One ADE server',
          description: 'With its token and how its syncs stand.',
          params,
          response: { 200: serverSchema },
        },
      },
      async (request, reply) => {
        const server = await servers.get(request.params.id)
        return reply.header('etag', etagOf(server.version)).send(await show(server))
      },
    )

    app.patch(
      '/ade-servers/:id',
      {
        config: { role: 'admin', etag: true },
        schema: {
          tags: TAGS,
          summary: 'Rename an ADE server',
          description: 'A JSON merge patch. Apple is not told.',
          params,
          body: Type.Object(
            { name: Type.Optional(serverName) },
            { title: 'AdeServerPatch', description: 'What is to change.' },
          ),
          response: { 200: serverSchema },
        },
      },
      async (request, reply) => {
        const server = await servers.rename(request.params.id, request.body.name, request.act)
        return reply.header('etag', etagOf(server.version)).send(await show(server))
      },
    )

    app.put(
      '/ade-servers/:id/default-policy',
      {
        config: { role: 'admin', etag: true },
        schema: {
          tags: TAGS,
          summary: 'Set the policy that new serial numbers get',
          description: 'Those that are there already keep what they have.',
          params,
          body: Type.Object(
            { policy_id: textOrNull('The enrollment policy; null = none.') },
            { title: 'DefaultPolicy', description: 'The policy of new serial numbers.' },
          ),
          response: { 200: serverSchema },
        },
      },
      async (request, reply) => {
        const { id } = request.params
        const server = await servers.setDefaultPolicy(id, request.body.policy_id, request.act)
        return reply.header('etag', etagOf(server.version)).send(await show(server))
      },
    )

    app.delete(
      '/ade-servers/:id',
      {
        config: { role: 'admin', etag: true },
        schema: {
          tags: TAGS,
          summary: 'Forget an ADE server',
          description: 'Refused while Apple has devices on it, unless forced; these stay here as removed.',
          params,
          querystring: Type.Object({
            force: Type.Boolean({ default: false, description: 'Even if Apple has devices on it.' }),
          }),
          response: { 204: nothing },
        },
      },
      async (request, reply) => {
        await servers.remove(request.params.id, request.query.force, request.act)
        return reply.code(204).send()
      },
    )
  }
}

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { pageQuery } from '../../kernel/paging.ts'
import { resourceApi } from '../../kernel/resource-api.ts'
import { idParam, textOrNull } from '../../kernel/schema.ts'
import { keysApi, sendServer, type ServersApiDeps } from './keys-api.ts'
import { serverName, serverSchema, type ServerView } from './servers-schema.ts'
import type { ServerRow } from './servers/store.ts'
import { showServers } from './servers-view.ts'

/** `/ade-servers`. */
export function serversApi(deps: ServersApiDeps): FastifyPluginAsyncTypebox {
  return async (app) => {
    await app.register(resources(deps))
    await app.register(defaultPolicy(deps))
    await app.register(keysApi(deps))
  }
}

function resources(deps: ServersApiDeps) {
  const { servers } = deps
  const show = async (rows: readonly ServerRow[]) => {
    const views = await showServers(deps, rows)
    return rows.map(({ version }, at) => ({ ...views[at]!, version }))
  }
  const showOne = async (row: Promise<ServerRow>) => (await show([await row]))[0]!

  return resourceApi({
    path: '/ade-servers',
    tags: ['ADE servers'],
    id: 'The id of the ADE server.',
    view: serverSchema,
    render: ({ version: _version, ...view }: ServerView & { version: number }) => view,
    create: {
      summary: "Add an ADE server: an entry of Apple's portal",
      description: 'It has an encryption key at once, and needs a server token of Apple’s made for that key.',
      body: Type.Object(
        { name: serverName },
        { title: 'NewAdeServer', description: 'What makes an ADE server.' },
      ),
      run: ({ name }, act) => showOne(servers.create(name, act)),
    },
    list: {
      summary: 'ADE servers',
      description: 'Each with its token and how its syncs stand.',
      query: Type.Object(pageQuery),
      async run(query) {
        const { items, next_cursor } = await servers.list(query)
        return { items: await show(items), next_cursor }
      },
    },
    get: {
      summary: 'One ADE server',
      description: 'With its token and how its syncs stand.',
      run: (id) => showOne(servers.get(id)),
    },
    update: {
      summary: 'Rename an ADE server',
      description: 'A JSON merge patch. Apple is not told.',
      body: Type.Object(
        { name: Type.Optional(serverName) },
        { title: 'AdeServerPatch', description: 'What is to change.' },
      ),
      run: (id, { name }, act) => showOne(servers.rename(id, name, act)),
    },
    remove: {
      summary: 'Forget an ADE server',
      description: 'Refused while Apple has devices on it, unless forced; these stay here as removed.',
      query: Type.Object({
        force: Type.Boolean({ default: false, description: 'Even if Apple has devices on it.' }),
      }),
      run: (id, act, { force }) => servers.remove(id, force, act),
    },
  })
}

function defaultPolicy(deps: ServersApiDeps): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.put(
      '/ade-servers/:id/default-policy',
      {
        config: { role: 'admin', etag: true },
        schema: {
          tags: ['ADE servers'],
          summary: 'Set the policy that new serial numbers get',
          description: 'Those that are there already keep what they have.',
          params: idParam('The id of the ADE server.'),
          body: Type.Object(
            { policy_id: textOrNull('The enrollment policy; null = none.') },
            { title: 'DefaultPolicy', description: 'The policy of new serial numbers.' },
          ),
          response: { 200: serverSchema },
        },
      },
      async ({ params, body, act }, reply) =>
        sendServer(deps, reply, await deps.servers.setDefaultPolicy(params.id, body.policy_id, act)),
    )
  }
}

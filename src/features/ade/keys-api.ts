import type { FastifyReply } from 'fastify'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { AppError } from '../../kernel/errors.ts'
import { etagOf } from '../../kernel/etag.ts'
import { appleIdParam, idParam } from '../../kernel/schema.ts'
import type { AdeDeps } from './deps.ts'
import { serverSchema } from './servers-schema.ts'
import type { Servers } from './servers/servers.ts'
import type { createTokens } from './servers/tokens.ts'
import type { ServerRow } from './servers/store.ts'
import { showServers } from './servers-view.ts'

const TAGS = ['ADE servers']
const MAX_TOKEN_BYTES = 256 * 1024
const PEM_TYPE = 'application/x-pem-file'
const params = idParam('The id of the ADE server.')

/** What the routes of ADE servers are made of. */
export type ServersApiDeps = Pick<AdeDeps, 'db' | 'clock'> & {
  servers: Servers
  tokens: ReturnType<typeof createTokens>
}

/** Answers with an ADE server and its version. */
export async function sendServer(
  deps: ServersApiDeps,
  reply: FastifyReply,
  server: ServerRow,
): Promise<FastifyReply> {
  const [shown] = await showServers(deps, [server])
  return reply.header('etag', etagOf(server.version)).send(shown)
}

/** `/ade-servers/{id}/encryption-key` and `/token`: what is exchanged with Apple's portal. */
export function keysApi(deps: ServersApiDeps): FastifyPluginAsyncTypebox {
  return async (app) => {
    await app.register(encryptionKey(deps))
    await app.register(tokenUpload(deps))
  }
}

function encryptionKey(deps: ServersApiDeps): FastifyPluginAsyncTypebox {
  const { servers } = deps
  return async (app) => {
    app.get(
      '/ade-servers/:id/encryption-key',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: "Download the encryption key for Apple's portal",
          description: 'A certificate in PEM; the same until a new key is asked for.',
          params,
          response: {
            200: {
              description: 'The encryption key.',
              content: { [PEM_TYPE]: { schema: Type.String({ description: 'A certificate in PEM.' }) } },
            },
          },
        },
      },
      async (request, reply) => {
        const { pem, fileName } = await servers.encryptionKey(request.params.id)
        const disposition = `attachment; filename="${fileName}"`
        return reply.type(PEM_TYPE).header('content-disposition', disposition).send(pem)
      },
    )

    app.post(
      '/ade-servers/:id/encryption-key',
      {
        config: { role: 'admin', etag: true },
        schema: {
          tags: TAGS,
          summary: 'Make a new encryption key',
          description:
            'From now on it is what GET answers. The key before goes on until a token made for the new one is stored.',
          params,
          response: { 201: serverSchema },
        },
      },
      async (request, reply) => {
        const server = await servers.stageKey(request.params.id, request.act)
        reply.code(201).header('location', `/api/v1/ade-servers/${server.id}/encryption-key`)
        return sendServer(deps, reply, server)
      },
    )
  }
}

/** Takes the file under whatever type it is sent as. */
function tokenUpload(deps: ServersApiDeps): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: MAX_TOKEN_BYTES }, (_request, body, done) =>
      done(null, body),
    )
    app.put(
      '/ade-servers/:id/token',
      {
        config: { role: 'admin', etag: true, rawBody: true },
        bodyLimit: MAX_TOKEN_BYTES,
        schema: {
          tags: TAGS,
          summary: 'Store the server token (.p7m) of Apple',
          description: 'The first one starts a sync by itself.',
          params,
          querystring: Type.Object({
            apple_id: appleIdParam,
            force: Type.Boolean({
              default: false,
              description:
                "Take it although it is of another of Apple's servers, or made with another Apple ID.",
            }),
          }),
          body: {
            content: {
              'application/pkcs7-mime': {
                schema: Type.Unknown({ description: 'The .p7m file as Apple gave it.' }),
              },
            },
          },
          response: { 200: serverSchema },
        },
      },
      async (request, reply) => {
        if (!Buffer.isBuffer(request.body) || request.body.length === 0) {
          throw new AppError('token_not_smime', 'There is no server token: the body is empty.')
        }
        const { apple_id: appleId, force } = request.query
        const upload = { file: request.body, appleId, force }
        return sendServer(deps, reply, await deps.tokens.store(request.params.id, upload, request.act))
      },
    )
  }
}

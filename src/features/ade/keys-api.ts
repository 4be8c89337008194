import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { AppError } from '../../kernel/errors.ts'
import { etagOf } from '../../kernel/etag.ts'
import { appleIdParam, idParam } from '../../kernel/schema.ts'
import type { AdeDeps } from './deps.ts'
import { serverSchema } from './servers-schema.ts'
import type { Servers } from './servers/servers.ts'
import type { createTokens } from './servers/tokens.ts'
import { showServers } from './servers-view.ts'

const TAGS = ['ADE servers']
const MAX_TOKEN_BYTES = 256 * 1024
const PEM_TYPE = 'application/x-pem-file'
const params = idParam('The id of the ADE server.')

/** `/ade-servers/{id}/encryption-key` and `/token`: what is exchanged with Apple's portal. */
export function keysApi(
  deps: Pick<AdeDeps, 'db' | 'clock'> & { servers: Servers; tokens: ReturnType<typeof createTokens> },
): FastifyPluginAsyncTypebox {
  const { servers, tokens } = deps
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
        return reply
          .type(PEM_TYPE)
          .header('content-disposition', `attachment; filename="${fileName}"`)
          .send(pem)
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
        const [shown] = await showServers(deps, [server])
        return reply
          .code(201)
          .headers({
            location: `/api/v1/ade-servers/${server.id}/encryption-key`,
            etag: etagOf(server.version),
          })
          .send(shown!)
      },
    )

    await app.register(tokenUpload)
  }

  /** Takes the file under whatever type it is sent as. */
  async function tokenUpload(app: Parameters<FastifyPluginAsyncTypebox>[0]): Promise<void> {
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
        const { id } = request.params
        const upload = { file: request.body, appleId, force }
        const server = await tokens.store(id, upload, request.act)
        const [shown] = await showServers(deps, [server])
        return reply.header('etag', etagOf(server.version)).send(shown!)
      },
    )
  }
}

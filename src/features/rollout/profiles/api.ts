import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { AppError } from '../../../kernel/errors.ts'
import { etagOf } from '../../../kernel/etag.ts'
import { NAME_PATTERN } from '../../../kernel/names.ts'
import { pageOf, pageQuery } from '../../../kernel/paging.ts'
import { idParam, nothing } from '../../../kernel/schema.ts'
import type { Profiles } from './profiles.ts'
import type { ProfileView } from './reading.ts'
import { profileSchema, revisionSchema, showProfile, showRevision } from './view.ts'

const TAGS = ['Profiles']
/** With what configuration profiles are sent (Apple). */
const PROFILE_TYPE = 'application/x-apple-aspen-config'
const UPLOAD_TYPES = [PROFILE_TYPE, 'application/octet-stream']
/** The most that the setting `profile_max_bytes` may be; what is larger is not even read. */
const MAX_BYTES = 50 * 1024 * 1024
const MAX_NAME = 255

const params = idParam('The id of the profile.')
const name = Type.String({
  minLength: 1,
  maxLength: MAX_NAME,
  pattern: NAME_PATTERN,
  description: 'What administrators call it.',
})
const force = Type.Boolean({
  default: false,
  description: 'Take it although it would replace the management or the identity of its devices.',
})
const upload = {
  config: { role: 'admin', etag: true, rawBody: true },
  bodyLimit: MAX_BYTES,
} as const
const body = {
  content: Object.fromEntries(
    UPLOAD_TYPES.map((type) => [
      type,
      { schema: Type.Unknown({ description: 'A .mobileconfig, signed or not.' }) },
    ]),
  ),
}

/** `/profiles`: the configuration profiles that groups deliver. */
export function profilesApi({ profiles }: { profiles: Profiles }): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.addContentTypeParser(
      UPLOAD_TYPES,
      { parseAs: 'buffer', bodyLimit: MAX_BYTES },
      (_request, bytes, done) => done(null, bytes),
    )
    await app.register(uploads(profiles))
    await app.register(itself(profiles))
    await app.register(history(profiles))
  }
}

function uploads(profiles: Profiles): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.post(
      '/profiles',
      {
        ...upload,
        schema: {
          tags: TAGS,
          summary: 'Upload a configuration profile',
          description: 'Signed ones are unwrapped. What may be wrong with it is told as warnings.',
          querystring: Type.Object({ name: Type.Optional(name), force }),
          body,
          response: { 201: profileSchema },
        },
      },
      async (request, reply) => {
        const made = await profiles.create(bytesOf(request.body), request.query, request.act)
        return tell(reply.code(201).header('location', `/api/v1/profiles/${made.id}`), made)
      },
    )
    app.put(
      '/profiles/:id',
      {
        ...upload,
        schema: {
          tags: TAGS,
          summary: 'Upload the next revision of a profile',
          description:
            'With the same identifier and scope. One that says the same as the newest makes no revision.',
          params,
          querystring: Type.Object({
            force,
            rollout: Type.Boolean({
              default: false,
              description: 'Store it only: nobody gets it before a rollout does.',
            }),
          }),
          body,
          response: { 200: profileSchema },
        },
      },
      async (request, reply) =>
        tell(
          reply,
          await profiles.replace(request.params.id, bytesOf(request.body), request.query, request.act),
        ),
    )
  }
}

function itself(profiles: Profiles): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/profiles',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'Profiles by name',
          description: 'Each with its newest revision.',
          querystring: Type.Object({
            ...pageQuery,
            name: Type.Optional(Type.String({ minLength: 1, description: 'Only those of this name.' })),
            identifier: Type.Optional(
              Type.String({ minLength: 1, description: 'Only those with this PayloadIdentifier.' }),
            ),
          }),
          response: { 200: pageOf(profileSchema) },
        },
      },
      async (request) => {
        const { items, next_cursor } = await profiles.list(request.query)
        return { items: items.map(showProfile), next_cursor }
      },
    )
    app.get(
      '/profiles/:id',
      {
        config: { role: 'viewer', etag: true },
        schema: {
          tags: TAGS,
          summary: 'One profile',
          description: 'With its newest revision.',
          params,
          response: { 200: profileSchema },
        },
      },
      async (request, reply) => tell(reply, await profiles.get(request.params.id)),
    )
    app.patch(
      '/profiles/:id',
      {
        config: { role: 'admin', etag: true },
        schema: {
          tags: TAGS,
          summary: 'Rename a profile',
          description: 'A JSON merge patch. Devices are not told.',
          params,
          body: Type.Object(
            { name: Type.Optional(name) },
            { title: 'ProfilePatch', description: 'What is to change.' },
          ),
          response: { 200: profileSchema },
        },
      },
      async (request, reply) =>
        tell(reply, await profiles.rename(request.params.id, request.body.name, request.act)),
    )
    app.delete(
      '/profiles/:id',
      {
        config: { role: 'admin', etag: true },
        schema: {
          tags: TAGS,
          summary: 'Delete a profile with its revisions',
          description: 'Refused while the contents of a group name it.',
          params,
          response: { 204: nothing },
        },
      },
      async (request, reply) => {
        await profiles.remove(request.params.id, request.act)
        return reply.code(204).send()
      },
    )
  }
}

function history(profiles: Profiles): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/profiles/:id/revisions',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'Revisions of a profile, the newest first',
          description: 'A revision never changes.',
          params,
          querystring: Type.Object(pageQuery),
          response: { 200: pageOf(revisionSchema) },
        },
      },
      async (request) => {
        const { items, next_cursor } = await profiles.revisions(request.params.id, request.query)
        return { items: items.map(showRevision), next_cursor }
      },
    )
    app.get(
      '/profiles/:id/content',
      {
        config: { role: 'operator' },
        schema: {
          tags: TAGS,
          summary: 'What was uploaded',
          description: 'As it came, with its signature, variables in their places.',
          params,
          querystring: Type.Object({
            revision: Type.Optional(
              Type.Integer({
                minimum: 1,
                maximum: 2 ** 31 - 1,
                description: 'Which; the newest by default.',
              }),
            ),
          }),
          response: {
            200: {
              description: 'The file.',
              content: {
                [PROFILE_TYPE]: { schema: Type.Unsafe<Buffer>({ type: 'string', format: 'binary' }) },
              },
            },
          },
        },
      },
      async (request, reply) => {
        const { id } = request.params
        const { revision, body: file } = await profiles.content(id, request.query.revision)
        return reply
          .header('content-type', PROFILE_TYPE)
          .header('content-disposition', `attachment; filename="${id}-${revision}.mobileconfig"`)
          .send(file)
      },
    )
  }
}

/** A body of no bytes is none; JSON is no profile. */
function bytesOf(given: unknown): Buffer {
  if (Buffer.isBuffer(given)) return given
  if (given === undefined || given === null) return Buffer.alloc(0)
  throw new AppError('unsupported_media_type', `A profile comes as ${UPLOAD_TYPES.join(' or ')}.`)
}

function tell(reply: FastifyReply, profile: ProfileView) {
  reply.header('etag', etagOf(profile.version))
  return showProfile(profile)
}

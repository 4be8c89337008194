import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { AppError } from '../../kernel/errors.ts'
import { decodeCursor, page, pageOf, pageQuery } from '../../kernel/paging.ts'
import type { EnrollmentDeps } from './deps.ts'
import { deleteDevice, requestUnenroll } from './end.ts'
import type { EnrollmentLink, Links } from './links.ts'

const TAGS = ['Devices']
const params = Type.Object({ id: Type.String() })

/** `POST /devices/{id}/unenroll` and `DELETE /devices/{id}`: how an administrator ends an enrollment. */
export function enrollmentApi(deps: EnrollmentDeps): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.post(
      '/devices/:id/unenroll',
      {
        config: { role: 'operator' },
        schema: {
          tags: TAGS,
          summary: 'Remove the enrollment profile from a device',
          params,
          response: { 202: Type.Object({ device_id: Type.String(), command_uuid: Type.String() }) },
        },
      },
      async (request, reply) => {
        const { id } = request.params
        const uuid = await requestUnenroll(deps, id, {
          createdBy: `${request.actor.kind}:${request.actor.id}`,
        })
        return reply.code(202).send({ device_id: id, command_uuid: uuid })
      },
    )

    app.delete(
      '/devices/:id',
      {
        config: { role: 'operator' },
        schema: {
          tags: TAGS,
          summary: 'Forget a device',
          params,
          querystring: Type.Object({
            force: Type.Boolean({ default: false, description: 'Even if it is still enrolled.' }),
          }),
          response: { 204: Type.Null() },
        },
      },
      async (request, reply) => {
        await deleteDevice(deps, request.params.id, request.query.force)
        return reply.code(204).send(null)
      },
    )
  }
}

const LINK_TAGS = ['Enrollment links']
const MAX_USES = 100_000
const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/

const time = Type.String({ format: 'date-time' })

const linkSchema = Type.Object({
  id: Type.String(),
  url: Type.Union([Type.String(), Type.Null()], {
    description: 'Whoever has this address can enroll a device, so viewers are not shown it (null).',
  }),
  uses: Type.Integer(),
  used: Type.Integer({ description: 'Devices that began to enroll by it.' }),
  user_name: Type.Union([Type.String(), Type.Null()]),
  group_id: Type.Union([Type.String(), Type.Null()]),
  expires_at: time,
  revoked_at: Type.Union([time, Type.Null()]),
  created_at: time,
  updated_at: time,
})

const newLinkSchema = Type.Object(
  {
    user_name: Type.Optional(
      Type.Union([Type.String({ minLength: 1, maxLength: 256 }), Type.Null()], {
        description: 'Whose devices they will be; must be a known user.',
      }),
    ),
    group_id: Type.Optional(
      Type.Union([Type.String({ minLength: 1, maxLength: 64 }), Type.Null()], {
        description: 'The static group that its devices join.',
      }),
    ),
    uses: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_USES, default: 1 })),
    expires_at: Type.Optional(Type.Union([time, Type.Null()], { description: 'By default in seven days.' })),
  },
  { additionalProperties: false },
)

/** `/enrollment-links`: made, listed newest first, revoked. */
export function linksApi(deps: { links: Links }): FastifyPluginAsyncTypebox {
  const { links } = deps
  return async (app) => {
    app.post(
      '/enrollment-links',
      {
        config: { role: 'operator' },
        schema: {
          tags: LINK_TAGS,
          summary: 'Make an enrollment link',
          body: newLinkSchema,
          response: { 201: linkSchema },
        },
      },
      async (request, reply) => {
        const { user_name = null, group_id = null, uses = 1, expires_at } = request.body
        const link = await links.create({ user_name, group_id, uses, expires_at: toDate(expires_at) })
        return reply.code(201).send(renderLink(link))
      },
    )

    app.get(
      '/enrollment-links',
      {
        config: { role: 'viewer' },
        schema: {
          tags: LINK_TAGS,
          summary: 'Enrollment links, newest first',
          querystring: Type.Object(pageQuery, { additionalProperties: false }),
          response: { 200: pageOf(linkSchema) },
        },
      },
      async (request) => {
        const { limit, cursor } = request.query
        const [before] = decodeCursor(cursor, ['string']) ?? []
        const rows = await links.list({ ...(before !== undefined && { before }), limit: limit + 1 })
        const { items, next_cursor } = page(rows, limit, (row) => [row.id])
        return { items: items.map((link) => renderFor(request, link)), next_cursor }
      },
    )

    app.get(
      '/enrollment-links/:id',
      {
        config: { role: 'viewer' },
        schema: {
          tags: LINK_TAGS,
          summary: 'One enrollment link',
          params,
          response: { 200: linkSchema },
        },
      },
      async (request) => {
        const link = await links.get(request.params.id)
        if (link === undefined) throw new AppError('not_found', 'There is no such enrollment link.')
        return renderFor(request, link)
      },
    )

    app.delete(
      '/enrollment-links/:id',
      {
        config: { role: 'operator' },
        schema: {
          tags: LINK_TAGS,
          summary: 'Revoke an enrollment link; it is kept as revoked',
          params,
          response: { 204: Type.Null() },
        },
      },
      async (request, reply) => {
        await links.revoke(request.params.id)
        return reply.code(204).send(null)
      },
    )
  }
}

function toDate(text: string | null | undefined): Date | null {
  if (text === undefined || text === null) return null
  const date = new Date(text)
  if (!RFC_3339.test(text) || Number.isNaN(date.getTime())) {
    const field = { path: 'expires_at', message: 'must be a time as in RFC 3339' }
    throw new AppError('invalid_request', `${field.path} ${field.message}.`, { fields: [field] })
  }
  return date
}

function renderFor(request: FastifyRequest, link: EnrollmentLink) {
  return { ...renderLink(link), ...(request.actor.role === 'viewer' && { url: null }) }
}

function renderLink(link: EnrollmentLink) {
  return {
    ...link,
    expires_at: link.expires_at.toISOString(),
    revoked_at: link.revoked_at?.toISOString() ?? null,
    created_at: link.created_at.toISOString(),
    updated_at: link.updated_at.toISOString(),
  }
}

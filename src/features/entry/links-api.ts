import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { AppError } from '../../kernel/errors.ts'
import { decodeCursor, page, pageOf, pageQuery } from '../../kernel/paging.ts'
import {
  dates,
  datesOf,
  idParam,
  nothing,
  orNull,
  text,
  textOrNull,
  time,
  timeOrNull,
} from '../../kernel/schema.ts'
import type { EnrollmentLink, Links } from './links.ts'

const MAX_USES = 100_000

const params = idParam('The id of the enrollment link.')

const linkSchema = Type.Object(
  {
    id: text('The id of the link, not its key.'),
    url: textOrNull('Whoever has this address can enroll a device, so viewers are not shown it (null).'),
    uses: Type.Integer({ description: 'How many devices may enroll by it.' }),
    used: Type.Integer({ description: 'Devices that began to enroll by it.' }),
    user_name: textOrNull('Whose devices they will be.'),
    group_id: textOrNull('The static group that its devices join.'),
    expires_at: time('When it ends.'),
    revoked_at: timeOrNull('When it was revoked.'),
    ...dates,
  },
  { title: 'EnrollmentLink', description: 'An address by which devices enroll.' },
)

const newLinkSchema = Type.Object(
  {
    user_name: Type.Optional(
      orNull(
        Type.String({ minLength: 1, maxLength: 256 }),
        'Whose devices they will be; must be a known user.',
      ),
    ),
    group_id: Type.Optional(
      orNull(Type.String({ minLength: 1, maxLength: 64 }), 'The static group that its devices join.'),
    ),
    uses: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_USES,
        default: 1,
        description: 'How many devices may enroll by it.',
      }),
    ),
    expires_at: Type.Optional(timeOrNull('When it ends; by default in seven days.')),
  },
  { title: 'NewEnrollmentLink', description: 'What makes an enrollment link.', additionalProperties: false },
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
          summary: 'Make an enrollment link',
          description: 'The answer has its address, for one device and seven days unless told otherwise.',
          body: newLinkSchema,
          response: { 201: linkSchema },
        },
      },
      async (request, reply) => {
        const { user_name = null, group_id = null, uses = 1, expires_at } = request.body
        const link = await links.create(
          { user_name, group_id, uses, expires_at: toDate(expires_at) },
          request.act,
        )
        return reply.code(201).send(renderLink(link))
      },
    )

    app.get(
      '/enrollment-links',
      {
        config: { role: 'viewer' },
        schema: {
          summary: 'Enrollment links, newest first',
          description: 'Those that have ended or were revoked too.',
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
          summary: 'One enrollment link',
          description: 'With how often it was used.',
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
          summary: 'Revoke an enrollment link; it is kept as revoked',
          description: 'Nobody gets a profile by it any more, and who has one is refused at Authenticate.',
          params,
          response: { 204: nothing },
        },
      },
      async (request, reply) => {
        await links.revoke(request.params.id, request.act)
        return reply.code(204).send()
      },
    )
  }
}

function toDate(at: string | null | undefined): Date | null {
  return at === undefined || at === null ? null : new Date(at)
}

function renderFor(request: FastifyRequest, link: EnrollmentLink) {
  return { ...renderLink(link), ...(request.operator.role === 'viewer' && { url: null }) }
}

function renderLink(link: EnrollmentLink) {
  return {
    ...link,
    expires_at: link.expires_at.toISOString(),
    revoked_at: link.revoked_at?.toISOString() ?? null,
    ...datesOf(link),
  }
}

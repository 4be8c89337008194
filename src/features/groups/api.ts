import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { etagOf } from '../../kernel/etag.ts'
import { NAME_PATTERN } from '../../kernel/names.ts'
import { pageOf, pageQuery } from '../../kernel/paging.ts'
import { dates, idParam, nothing, text, textOrNull } from '../../kernel/schema.ts'
import type { Groups } from './groups.ts'
import type { GroupView } from './types.ts'

const TAGS = ['Groups']
const MAX_NAME = 255
/** Members that one call may name. */
const MAX_MEMBERS = 100_000
const MAX_BODY_BYTES = 8 * 1024 * 1024

const kind = Type.Enum(['static', 'dynamic'], {
  description: 'static: its members are named by hand; dynamic: they follow from a policy.',
})
const params = idParam('The id of the group.')

const name = Type.String({
  minLength: 1,
  maxLength: MAX_NAME,
  pattern: NAME_PATTERN,
  description: 'One of its kind; `EnrollmentProfile:...` are the groups of policies.',
})

const groupSchema = Type.Object(
  {
    id: text('The id of the group.'),
    name: text('Its name.'),
    kind,
    policy_id: textOrNull(
      'The policy that owns a dynamic group; its members are the live devices of that policy.',
    ),
    member_count: Type.Integer({ description: 'How many devices are in it.' }),
    ...dates,
  },
  { title: 'Group', description: 'A set of devices.' },
)

const memberSchema = Type.Object(
  {
    id: text('The device id (`/devices/{id}`).'),
    serial_number: textOrNull('Its serial number, where it has told it.'),
    device_name: textOrNull('Its name, where it has told it.'),
  },
  { title: 'GroupMember', description: 'A device in a group.' },
)

const deviceIds = Type.Object(
  {
    device_ids: Type.Array(Type.String({ minLength: 1, maxLength: 256 }), {
      maxItems: MAX_MEMBERS,
      description: 'Ids of devices (`/devices/{id}`).',
    }),
  },
  { title: 'GroupMemberIds', description: 'Devices by their ids.' },
)

const changedSchema = Type.Object(
  {
    added: Type.Integer({ description: 'Devices that were no members before.' }),
    removed: Type.Integer({ description: 'Devices that are members no more.' }),
  },
  { title: 'GroupMembersChanged', description: 'What the call changed.' },
)

/** `/groups` and their members. */
export function groupsApi(deps: { groups: Groups }): FastifyPluginAsyncTypebox {
  return async (app) => {
    await app.register(itself(deps.groups))
    await app.register(members(deps.groups))
  }
}

function itself(groups: Groups): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.post(
      '/groups',
      {
        config: { role: 'admin', etag: true },
        schema: {
          tags: TAGS,
          summary: 'Make a static group',
          description: 'Empty at first. Dynamic groups come with their policies.',
          body: Type.Object(
            {
              name,
              kind: Type.Optional(
                Type.Enum(['static'], { description: 'The only kind that is made by hand.' }),
              ),
            },
            { title: 'NewGroup', description: 'What makes a group.' },
          ),
          response: { 201: groupSchema },
        },
      },
      async (request, reply) => {
        const group = await groups.create(request.body.name, request.act)
        return reply
          .code(201)
          .headers({ location: `/api/v1/groups/${group.id}`, etag: etagOf(group.version) })
          .send(render(group))
      },
    )

    app.get(
      '/groups',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'Groups by name',
          description: 'Static ones and those of policies.',
          querystring: Type.Object({
            ...pageQuery,
            kind: Type.Optional(kind),
            name: Type.Optional(Type.String({ minLength: 1, description: 'Only the group of this name.' })),
            policy_id: Type.Optional(
              Type.String({ minLength: 1, description: 'Only the group of this policy.' }),
            ),
          }),
          response: { 200: pageOf(groupSchema) },
        },
      },
      async (request) => {
        const { items, next_cursor } = await groups.list(request.query)
        return { items: items.map(render), next_cursor }
      },
    )

    app.get(
      '/groups/:id',
      {
        config: { role: 'viewer', etag: true },
        schema: {
          tags: TAGS,
          summary: 'One group',
          description: 'Its members are a list of their own.',
          params,
          response: { 200: groupSchema },
        },
      },
      async (request, reply) => {
        const group = await groups.get(request.params.id)
        return reply.header('etag', etagOf(group.version)).send(render(group))
      },
    )

    app.patch(
      '/groups/:id',
      {
        config: { role: 'admin', etag: true },
        schema: {
          tags: TAGS,
          summary: 'Rename a static group',
          description: 'A JSON merge patch. The group of a policy is renamed with the policy.',
          params,
          body: Type.Object(
            { name: Type.Optional(name) },
            { title: 'GroupPatch', description: 'What is to change.' },
          ),
          response: { 200: groupSchema },
        },
      },
      async (request, reply) => {
        const group = await groups.rename(request.params.id, request.body.name, request.act)
        return reply.header('etag', etagOf(group.version)).send(render(group))
      },
    )

    app.delete(
      '/groups/:id',
      {
        config: { role: 'admin', etag: true },
        schema: {
          tags: TAGS,
          summary: 'Delete a static group',
          description: 'Refused while an enrollment policy puts its devices into it.',
          params,
          response: { 204: nothing },
        },
      },
      async (request, reply) => {
        await groups.remove(request.params.id, request.act)
        return reply.code(204).send()
      },
    )
  }
}

function members(groups: Groups): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/groups/:id/members',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'The devices in a group, by id',
          description: 'Those of a dynamic group are the live devices of its policy.',
          params,
          querystring: Type.Object(pageQuery),
          response: { 200: pageOf(memberSchema) },
        },
      },
      async (request) => groups.listMembers(request.params.id, request.query),
    )

    for (const [method, summary, description, edit] of [
      ['POST', 'Add devices to a static group', 'Those that are in it already stay.', groups.addMembers],
      [
        'PUT',
        'Make these devices the only members of a static group',
        'All others leave it; an empty list empties it.',
        groups.replaceMembers,
      ],
    ] as const)
      app.route({
        method,
        url: '/groups/:id/members',
        config: { role: 'operator', etag: true, maxValues: MAX_MEMBERS + 10 },
        bodyLimit: MAX_BODY_BYTES,
        schema: {
          tags: TAGS,
          summary,
          description,
          params,
          body: deviceIds,
          response: { 200: changedSchema },
        },
        async handler(request, reply) {
          const { version, ...done } = await edit(request.params.id, request.body.device_ids, request.act)
          return reply.header('etag', etagOf(version)).send(done)
        },
      })

    app.delete(
      '/groups/:id/members/:device_id',
      {
        config: { role: 'operator', etag: true },
        schema: {
          tags: TAGS,
          summary: 'Take a device out of a static group',
          description: 'The device itself is not told.',
          params: Type.Object({ ...params.properties, device_id: text('The id of the device.') }),
          response: { 204: nothing },
        },
      },
      async (request, reply) => {
        const { version } = await groups.removeMember(
          request.params.id,
          request.params.device_id,
          request.act,
        )
        return reply.code(204).header('etag', etagOf(version)).send()
      },
    )
  }
}

function render({ version: _version, ...group }: GroupView) {
  return {
    ...group,
    created_at: group.created_at.toISOString(),
    updated_at: group.updated_at.toISOString(),
  }
}

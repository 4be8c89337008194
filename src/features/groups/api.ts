import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyPluginAsync } from 'fastify'
import { Type } from 'typebox'
import { etagOf } from '../../kernel/etag.ts'
import { NAME_PATTERN } from '../../kernel/names.ts'
import { pageOf, pageQuery } from '../../kernel/paging.ts'
import { resourceApi } from '../../kernel/resource-api.ts'
import { dates, datesOf, idParam, nothing, text, textOrNull } from '../../kernel/schema.ts'
import type { Groups } from './groups.ts'
import type { GroupView } from './types.ts'

const MAX_NAME = 255
/** Members that one call may name. */
const MAX_MEMBERS = 100_000
const MAX_BODY_BYTES = 8 * 1024 * 1024

const kind = Type.Enum(['static', 'dynamic'], {
  description: 'static: its members are named by hand; dynamic: they follow from a policy.',
})
const ID = 'The id of the group.'
const params = idParam(ID)

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

function itself(groups: Groups): FastifyPluginAsync {
  return resourceApi({
    path: '/groups',
    id: ID,
    view: groupSchema,
    render,
    create: {
      summary: 'Make a static group',
      description: 'Empty at first. Dynamic groups come with their policies.',
      body: Type.Object(
        {
          name,
          kind: Type.Optional(Type.Enum(['static'], { description: 'The only kind that is made by hand.' })),
        },
        { title: 'NewGroup', description: 'What makes a group.' },
      ),
      run: (body, act) => groups.create(body.name, act),
    },
    list: {
      summary: 'Groups by name',
      description: 'Static ones and those of policies.',
      query: Type.Object({
        ...pageQuery,
        kind: Type.Optional(kind),
        name: Type.Optional(Type.String({ minLength: 1, description: 'Only the group of this name.' })),
        policy_id: Type.Optional(
          Type.String({ minLength: 1, description: 'Only the group of this policy.' }),
        ),
      }),
      run: groups.list,
    },
    get: { summary: 'One group', description: 'Its members are a list of their own.', run: groups.get },
    update: {
      summary: 'Rename a static group',
      description: 'A JSON merge patch. The group of a policy is renamed with the policy.',
      body: Type.Object(
        { name: Type.Optional(name) },
        { title: 'GroupPatch', description: 'What is to change.' },
      ),
      run: (id, patch, act) => groups.rename(id, patch.name, act),
    },
    remove: {
      summary: 'Delete a static group',
      description: 'Refused while an enrollment policy puts its devices into it.',
      run: groups.remove,
    },
  })
}

function members(groups: Groups): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/groups/:id/members',
      {
        config: { role: 'viewer' },
        schema: {
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
  return { ...group, ...datesOf(group) }
}

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyPluginAsync } from 'fastify'
import { Type } from 'typebox'
import { etagOf } from '../../kernel/etag.ts'
import { NAME_PATTERN } from '../../kernel/names.ts'
import { pageOf, pageQuery } from '../../kernel/paging.ts'
import { resourceApi } from '../../kernel/resource-api.ts'
import { dates, datesOf, idParam, nothing, orNull, text, textOrNull, time } from '../../kernel/schema.ts'
import { showWaiting, waitingSchema, type Governor } from '../governor/index.ts'
import type { Groups } from './groups.ts'
import type { GroupView } from './types.ts'

const MAX_NAME = 255
/** Members that one call may name. */
const MAX_MEMBERS = 100_000
const MAX_BODY_BYTES = 8 * 1024 * 1024

const kind = Type.Enum(['static', 'dynamic'], {
  description: 'static: its members are named by hand; dynamic: they follow from a rule or a policy.',
})
const ID = 'The id of the group.'
const params = idParam(ID)

const name = Type.String({
  minLength: 1,
  maxLength: MAX_NAME,
  pattern: NAME_PATTERN,
  description: 'One of its kind; `EnrollmentProfile:...` are the groups of policies.',
})

const rule = Type.Unknown({
  description:
    '`{"all": [...]}`, `{"any": [...]}`, `{"not": {...}}` or `{"fact": ..., "op": ..., "value": ...}`; each of the rules within is one too.',
})

const groupSchema = Type.Object(
  {
    id: text('The id of the group.'),
    name: text('Its name.'),
    kind,
    policy_id: textOrNull('The policy that owns the group; its members are the live devices of that policy.'),
    rule: orNull(rule, 'The rule from which its members follow.'),
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

const groupOfDevice = Type.Object(
  {
    id: text('The id of the group.'),
    name: text('Its name.'),
    kind,
    policy_id: textOrNull('The policy whose devices are its members.'),
    added_at: time('Since when the device is in it.'),
  },
  { title: 'GroupOfDevice', description: 'A group that a device is in.' },
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
export function groupsApi(deps: {
  groups: Groups
  governor: Pick<Governor, 'approvals'>
}): FastifyPluginAsyncTypebox {
  return async (app) => {
    await app.register(previews(deps.groups))
    await app.register(itself(deps.groups, deps.governor))
    await app.register(members(deps.groups))
    await app.register(ofDevice(deps.groups))
  }
}

function itself(groups: Groups, governor: Pick<Governor, 'approvals'>): FastifyPluginAsync {
  return resourceApi({
    path: '/groups',
    id: ID,
    view: groupSchema,
    render,
    create: {
      summary: 'Make a group',
      description:
        'A static one, empty at first, or with a `rule` a dynamic one. The groups of policies come with them.',
      body: Type.Object(
        { name, kind: Type.Optional(kind), rule: Type.Optional(rule) },
        { title: 'NewGroup', description: 'What makes a group.' },
      ),
      run: groups.create,
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
      summary: 'Rename a group, or change its rule',
      description:
        'A JSON merge patch; a rule is replaced as a whole. The group of a policy is renamed with the policy.',
      body: Type.Object(
        { name: Type.Optional(name), rule: Type.Optional(rule) },
        { title: 'GroupPatch', description: 'What is to change.' },
      ),
      run: groups.update,
    },
    remove: {
      summary: 'Delete a group',
      description:
        'Refused (`in_use`) while a rule, an enrollment policy or a link names it. What only it brought is removed from its members.',
      waiting: waitingSchema,
      async run(id, act) {
        const approval = await groups.remove(id, act)
        return approval === null ? undefined : showWaiting(governor, approval)
      },
    },
  })
}

function previews(groups: Groups): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.post(
      '/groups/preview',
      {
        config: { role: 'viewer' },
        schema: {
          summary: 'Who would be in a group of this rule',
          description: 'Nothing is changed.',
          body: Type.Object({ rule }, { title: 'GroupRule', description: 'A rule to try.' }),
          response: {
            200: Type.Object(
              {
                count: Type.Integer({ description: 'How many devices.' }),
                device_ids: Type.Array(Type.String(), { description: 'The first 100 of them, by id.' }),
              },
              { title: 'GroupPreview', description: 'Who would be in the group.' },
            ),
          },
        },
      },
      async (request) => groups.preview(request.body.rule),
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
          summary: 'The devices in a group, by id',
          description: 'Whether they were named by hand or follow from a rule or a policy.',
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

function ofDevice(groups: Groups): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/devices/:id/groups',
      {
        config: { role: 'viewer' },
        schema: {
          summary: 'The groups that a device is in, by name',
          description: 'Static ones, those by rule, and that of its policy.',
          params: idParam('The id of the device.'),
          querystring: Type.Object(pageQuery),
          response: { 200: pageOf(groupOfDevice) },
        },
      },
      async (request) => {
        const { items, next_cursor } = await groups.listGroupsOf(request.params.id, request.query)
        return {
          items: items.map((group) => ({ ...group, added_at: group.added_at.toISOString() })),
          next_cursor,
        }
      },
    )
  }
}

function render({ id, policy_id, member_count, ...group }: GroupView) {
  const told = { name: group.name, kind: group.kind, rule: group.rule }
  return { id, ...told, policy_id, member_count, ...datesOf(group) }
}

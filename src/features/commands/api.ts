import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type Static } from 'typebox'
import type { Db } from '../../db/index.ts'
import type { Act } from '../../kernel/act.ts'
import { AppError } from '../../kernel/errors.ts'
import { newAppleUuid } from '../../kernel/ids.ts'
import { decodeCursor, page, pageOf, pageQuery } from '../../kernel/paging.ts'
import {
  idParam,
  nothing,
  searchQuery,
  text,
  textOrNull,
  time,
  timeOrNull,
  timesQuery,
} from '../../kernel/schema.ts'
import { buildCommand, markDataKeys, parseCommand, redactCommand } from '../../protocol/mdm/index.ts'
import type { Devices } from '../devices/index.ts'
import type { Push } from '../push/index.ts'
import { nameOf, type Commands, type NewCommand } from './commands.ts'
import { PRIORITIES } from './priorities.ts'
import type { Command, Delivery, DeviceDelivery } from './store.ts'

const TAGS = ['Commands']
/** Deliveries shown with a command; the rest is told by the devices' own lists. */
const MOST_DELIVERIES = 1_000
const MOST_DEVICES = 100_000
/** A profile of 10 MB as base64, or as many devices. */
const MAX_BODY_BYTES = 16 * 1024 * 1024
/** Devices, and the parameters of the command. */
const MAX_VALUES = MOST_DEVICES + 20_000

const commandParams = Type.Object({ uuid: text('The CommandUUID.') })
const deviceParams = idParam('The id of the device (an enrollment id).')

const deliverySchema = Type.Object(
  {
    device_id: text('The device (`/devices/{id}`).'),
    state: text('queued, sent, not_now, acknowledged, error, format_error, expired or cancelled.'),
    not_now_count: Type.Integer({ description: 'How often the device has said NotNow.' }),
    queued_at: time('When it was queued.'),
    sent_at: timeOrNull('When it last went out to the device.'),
    finished_at: timeOrNull('When it came to an end.'),
    error_chain: Type.Unknown({
      description: 'What the device gave as its error, in Apple’s names; null without one.',
    }),
    result_unreadable: Type.Boolean({
      description: 'Whether part of the answer, or all of it, could not be read; `warnings` say what.',
    }),
    warnings: Type.Array(Type.String(), { description: 'What is to be known about the answer.' }),
  },
  { title: 'Delivery', description: 'A command on its way to one device.' },
)

const commandSchema = Type.Object(
  {
    uuid: text('The CommandUUID on the wire.'),
    request_type: text('Apple’s name of the command.'),
    priority: text('low, normal or high.'),
    not_before: timeOrNull('It is not sent before.'),
    expires_at: timeOrNull('It is not sent after.'),
    created_at: time('When it was queued.'),
    created_by: textOrNull('Who asked for it, `<kind>:<id>`; null for the server itself.'),
    device_count: Type.Integer({ description: 'How many devices it is for.' }),
  },
  { title: 'Command', description: 'A command that was queued.' },
)

const withDeliveries = Type.Intersect(
  [
    commandSchema,
    Type.Object({
      deliveries: Type.Array(deliverySchema, {
        description: 'Its way to each device, of the first 1,000 devices.',
      }),
      plist: Type.Optional(text('The whole command as base64, secrets hidden; viewers are not shown it.')),
    }),
  ],
  { title: 'CommandDetail', description: 'A command with its deliveries.' },
)

const newCommandSchema = Type.Object(
  {
    request_type: Type.Optional(
      Type.String({ minLength: 1, maxLength: 128, description: 'Apple’s name of the command.' }),
    ),
    command: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description:
          'Its parameters; `{"$data": "<base64>"}` is data, `{"$date": "<RFC 3339>"}` a date, and where Apple’s schema says data the plain base64 is.',
      }),
    ),
    plist: Type.Optional(text('A whole command instead, as base64 of its property list.')),
    device_ids: Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), {
      minItems: 1,
      maxItems: MOST_DEVICES,
      description: 'Devices (`/devices/{id}`), each of them enrolled.',
    }),
    priority: Type.Optional(
      Type.Enum(['low', 'normal', 'high'], { description: 'What goes first. By default normal.' }),
    ),
    not_before: Type.Optional(time('It is not sent before.')),
    expires_at: Type.Optional(time('It is not sent after.')),
    dry_run: Type.Optional(Type.Boolean({ description: 'Check everything and queue nothing.' })),
  },
  { title: 'NewCommand', description: 'A command by `request_type` and `command`, or by `plist`.' },
)

const deviceDeliverySchema = Type.Intersect(
  [
    deliverySchema,
    Type.Object({
      command_uuid: text('The command (`/commands/{uuid}`).'),
      request_type: textOrNull('Apple’s name of the command; null when that is no longer kept.'),
    }),
  ],
  { title: 'DeviceCommand', description: 'A command in the queue or history of a device.' },
)

const pushedSchema = Type.Object(
  { device_id: text('The device.'), push: text('requested: it goes out at once.') },
  { title: 'PushRequested', description: 'The push was asked for.' },
)

/** `/commands`, and the queue and history of a device. */
export function commandsApi(deps: {
  db: Db
  commands: Commands
  devices: Devices
  push: Pick<Push, 'request'>
}): FastifyPluginAsyncTypebox {
  const { db, commands, devices } = deps
  return async (app) => {
    app.post(
      '/commands',
      {
        config: { role: 'operator', maxValues: MAX_VALUES },
        bodyLimit: MAX_BODY_BYTES,
        schema: {
          tags: TAGS,
          summary: 'Queue a command for devices',
          description: 'And wake them. All devices must be enrolled, else nothing is queued.',
          body: newCommandSchema,
          response: { 202: withDeliveries },
        },
      },
      async (request, reply) => {
        const command = readCommand(request.body)
        const now = new Date().toISOString()
        if (request.body.dry_run) {
          await checkTargets(devices, db, command.targets)
          return reply.code(202).send({ ...renderNew(command, request.act, now), deliveries: [] })
        }
        await checkTargets(devices, db, command.targets)
        await db.transaction((trx) => commands.enqueue(trx, request.act, command))
        // Whoever sent the command has it; an answer is kept for a repeated Idempotency-Key.
        const { plist: _, ...told } = await show(commands, command.uuid)
        return reply.code(202).send(told)
      },
    )

    app.get(
      '/commands',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'Commands, newest first',
          description: 'Without their deliveries.',
          querystring: Type.Object({
            ...pageQuery,
            ...searchQuery,
            ...timesQuery('made'),
            request_type: Type.Optional(text('Only commands of this type.')),
          }),
          response: { 200: pageOf(commandSchema) },
        },
      },
      async (request) => {
        const { limit, cursor, ...wanted } = request.query
        const before = beforeOf(cursor)
        const rows = await commands.list({ ...wanted, limit: limit + 1, ...(before && { before }) })
        const { items, next_cursor } = page(rows, limit, (row) => [row.created_at.toISOString(), row.uuid])
        return { items: items.map(renderCommand), next_cursor }
      },
    )

    app.get(
      '/commands/:uuid',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'A command and its deliveries',
          description: 'How far it has come with each device.',
          params: commandParams,
          response: { 200: withDeliveries },
        },
      },
      async (request) => {
        const { plist, ...rest } = await show(commands, request.params.uuid)
        // A command may hold a PIN, a password or a certificate's key, which whoever only reads has no need of.
        return request.operator.role === 'viewer' ? rest : { ...rest, plist }
      },
    )

    app.delete(
      '/commands/:uuid',
      {
        config: { role: 'operator' },
        schema: {
          tags: TAGS,
          summary: 'Cancel what has not been sent of a command',
          description:
            'What a device has already been given goes on. Refused when nothing of it waits any more.',
          params: commandParams,
          response: { 204: nothing },
        },
      },
      async (request, reply) => {
        const count = await commands.cancel(request.params.uuid, request.act)
        if (count === 0)
          throw new AppError(
            'conflict',
            'Nothing of this command waits any more: it was sent, or is finished.',
          )
        return reply.code(204).send()
      },
    )

    app.get(
      '/devices/:id/commands',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'What a device has to do, in order, and then what it has done, newest first',
          description: 'What it has to do stands on the first page, besides `limit`.',
          params: deviceParams,
          querystring: Type.Object(pageQuery),
          response: { 200: pageOf(deviceDeliverySchema) },
        },
      },
      async (request) => {
        const device = await known(devices, db, request.params.id)
        const { limit, cursor } = request.query
        const before = beforeOf(cursor)
        const pending = before ? [] : await commands.pending(device.id)
        const history = await commands.history(device.id, { limit: limit + 1, ...(before && { before }) })
        const { items, next_cursor } = page(history, limit, (row) => [
          (row.finished_at ?? row.created_at).toISOString(),
          row.command_uuid,
        ])
        return { items: [...pending, ...items].map(renderDeviceDelivery), next_cursor }
      },
    )

    app.post(
      '/devices/:id/push',
      {
        config: { role: 'operator' },
        schema: {
          tags: ['Devices'],
          summary: 'Wake a device',
          description: 'It comes for its commands when the push reaches it.',
          params: deviceParams,
          response: { 202: pushedSchema },
        },
      },
      async (request, reply) => {
        const device = await known(devices, db, request.params.id)
        if (device.unenrolled_at !== null || device.push_state !== 'ok')
          throw new AppError('conflict', `The device cannot be pushed to: ${whyNoPush(device)}.`)
        await db.transaction((trx) => deps.push.request(trx, [device.id], {}))
        return reply.code(202).send({ device_id: device.id, push: 'requested' })
      },
    )
  }
}

async function known(devices: Devices, db: Db, id: string) {
  const device = await devices.findEnrollment(db.kysely, id)
  if (!device) throw new AppError('not_found', `There is no device ${id}.`)
  return device
}

function whyNoPush(device: Awaited<ReturnType<typeof known>>): string {
  if (device.unenrolled_at !== null) return 'it is not enrolled'
  return device.push_state === 'gone'
    ? `Apple says its token is gone (${device.push_reason ?? 'no reason'}), until it sends a new one`
    : 'it has not sent its push token yet'
}

async function checkTargets(devices: Devices, db: Db, ids: readonly string[]): Promise<void> {
  const live = await devices.liveIds(db.kysely, ids)
  const fields = ids.flatMap((id, at) =>
    live.has(id) ? [] : [{ path: `device_ids.${at}`, message: `${id} is not enrolled here` }],
  )
  if (fields.length > 0)
    throw new AppError('invalid_request', fields[0]?.message, { fields: fields.slice(0, 100) })
}

function readCommand(body: Static<typeof newCommandSchema>): NewCommand {
  const { not_before, expires_at } = body
  if (not_before !== undefined && expires_at !== undefined && new Date(expires_at) <= new Date(not_before))
    throw new AppError('invalid_request', 'expires_at is not after not_before.')
  return {
    ...readPlist(body),
    targets: [...new Set(body.device_ids)],
    ...(body.priority !== undefined && { priority: body.priority }),
    ...(not_before !== undefined && { notBefore: new Date(not_before) }),
    ...(expires_at !== undefined && { expiresAt: new Date(expires_at) }),
  }
}

function readPlist(body: Static<typeof newCommandSchema>): Pick<NewCommand, 'uuid' | 'requestType' | 'body'> {
  const { plist, command, request_type } = body
  if ((plist === undefined) === (request_type === undefined))
    throw new AppError('invalid_request', 'Give either request_type (and command), or plist.')
  if (plist !== undefined) {
    if (command !== undefined) throw new AppError('invalid_request', 'command does not go with plist.')
    const bytes = Buffer.from(plist, 'base64')
    const parsed = parseCommand(bytes)
    return { uuid: parsed.uuid, requestType: parsed.requestType, body: bytes }
  }
  const type = request_type ?? ''
  const uuid = newAppleUuid()
  return { uuid, requestType: type, body: buildCommand(uuid, type, markDataKeys(type, command ?? {})) }
}

async function show(commands: Commands, uuid: string) {
  const command = await commands.find(uuid)
  if (!command) throw new AppError('not_found', `There is no command ${uuid}.`)
  const deliveries = await commands.deliveries(uuid, command.target_ids.slice(0, MOST_DELIVERIES))
  return {
    ...renderCommand(command),
    deliveries: deliveries.map(renderDelivery),
    plist: redactCommand(command.body).toString('base64'),
  }
}

function beforeOf(cursor: string | undefined): { at: Date; uuid: string } | undefined {
  const key = decodeCursor(cursor, ['time', 'string'])
  return key && { at: key[0], uuid: key[1] }
}

function renderCommand(command: Omit<Command, 'body'>) {
  const name = Object.entries(PRIORITIES).find(([, value]) => value === command.priority)?.[0] ?? 'normal'
  return {
    uuid: command.uuid,
    request_type: command.request_type,
    priority: name,
    not_before: command.not_before?.toISOString() ?? null,
    expires_at: command.expires_at?.toISOString() ?? null,
    created_at: command.created_at.toISOString(),
    created_by: command.created_by,
    device_count: command.target_ids.length,
  }
}

function renderNew(command: NewCommand, act: Act, now: string) {
  return {
    uuid: command.uuid,
    request_type: command.requestType,
    priority: command.priority ?? 'normal',
    not_before: command.notBefore?.toISOString() ?? null,
    expires_at: command.expiresAt?.toISOString() ?? null,
    created_at: now,
    created_by: nameOf(act),
    device_count: command.targets.length,
    plist: redactCommand(command.body).toString('base64'),
  }
}

function renderDelivery(delivery: Delivery) {
  return {
    device_id: delivery.enrollment_id,
    state: delivery.state,
    not_now_count: delivery.not_now_count,
    queued_at: delivery.created_at.toISOString(),
    sent_at: delivery.sent_at?.toISOString() ?? null,
    finished_at: delivery.finished_at?.toISOString() ?? null,
    error_chain: delivery.error_chain ?? null,
    result_unreadable: delivery.result_problem !== null,
    warnings:
      delivery.result_problem === null
        ? []
        : [`Not all of the answer can be read: ${delivery.result_problem}`],
  }
}

function renderDeviceDelivery(delivery: DeviceDelivery) {
  return {
    ...renderDelivery(delivery),
    command_uuid: delivery.command_uuid,
    request_type: delivery.request_type,
  }
}

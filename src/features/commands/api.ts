import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Db } from '../../db/index.ts'
import type { Act } from '../../kernel/act.ts'
import { AppError } from '../../kernel/errors.ts'
import { newAppleUuid } from '../../kernel/ids.ts'
import { page, pageOf, pageQuery } from '../../kernel/paging.ts'
import { nothing, searchQuery, text, timesQuery } from '../../kernel/schema.ts'
import { buildCommand, markDataKeys, parseCommand } from '../../protocol/mdm/index.ts'
import type { Devices } from '../devices/index.ts'
import type { Commands } from './commands.ts'
import type { NewCommand } from './queue.ts'
import {
  commandParams,
  commandSchema,
  MOST_DEVICES,
  newCommandSchema,
  withDeliveries,
  type CommandWanted,
} from './schema.ts'
import { beforeOf, renderCommand, renderNew, show } from './view.ts'

const TAGS = ['Commands']
/** A profile of 10 MB as base64, or as many devices. */
const MAX_BODY_BYTES = 16 * 1024 * 1024
/** Devices, and the parameters of the command. */
const MAX_VALUES = MOST_DEVICES + 20_000

interface CommandsApiDeps {
  db: Db
  commands: Commands
  devices: Devices
}

/** `/commands`. */
export function commandsApi(deps: CommandsApiDeps): FastifyPluginAsyncTypebox {
  const { commands } = deps
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
        return reply.code(202).send(await queue(deps, request.act, request.body))
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
  }
}

async function queue({ db, commands, devices }: CommandsApiDeps, act: Act, body: CommandWanted) {
  const command = readCommand(body)
  await checkTargets(devices, db, command.targets)
  if (body.dry_run) return { ...renderNew(command, act), deliveries: [] }
  await db.transaction((trx) => commands.enqueue(trx, act, command))
  // Whoever sent the command has it; an answer is kept for a repeated Idempotency-Key.
  const { plist: _, ...told } = await show(commands, command.uuid)
  return told
}

async function checkTargets(devices: Devices, db: Db, ids: readonly string[]): Promise<void> {
  const live = await devices.liveIds(db.kysely, ids)
  const fields = ids.flatMap((id, at) =>
    live.has(id) ? [] : [{ path: `device_ids.${at}`, message: `${id} is not enrolled here` }],
  )
  if (fields.length > 0)
    throw new AppError('invalid_request', fields[0]?.message, { fields: fields.slice(0, 100) })
}

function readCommand(body: CommandWanted): NewCommand {
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

function readPlist(body: CommandWanted): Pick<NewCommand, 'uuid' | 'requestType' | 'body'> {
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

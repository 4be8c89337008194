import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Db } from '../../db/index.ts'
import type { Act } from '../../kernel/act.ts'
import { AppError } from '../../kernel/errors.ts'
import { page, pageOf, pageQuery } from '../../kernel/paging.ts'
import { nothing, searchQuery, text, timesQuery } from '../../kernel/schema.ts'
import type { Devices } from '../devices/index.ts'
import { showWaiting, type Governor } from '../governor/index.ts'
import type { Commands } from './commands.ts'
import type { NewCommand } from './new-command.ts'
import {
  commandParams,
  commandSchema,
  MOST_DEVICES,
  newCommandSchema,
  queuedSchema,
  withDeliveries,
  type CommandWanted,
} from './schema.ts'
import { checkSuited, findTargets } from './targets.ts'
import { beforeOf, renderCommand, renderNew, show } from './view.ts'
import { readWanted } from './wanted.ts'

const TAGS = ['Commands']
/** A profile of 10 MB as base64, or as many devices. */
const MAX_BODY_BYTES = 16 * 1024 * 1024
/** Devices, and the parameters of the command. */
const MAX_VALUES = MOST_DEVICES + 20_000

interface CommandsApiDeps {
  db: Db
  commands: Commands
  devices: Devices
  governor: Governor
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
          description:
            'And wake them. All devices must be enrolled, the command must be one of Apple’s schema (`/command-types`) and suit each of them, else nothing is queued.',
          body: newCommandSchema,
          response: { 202: queuedSchema },
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

async function queue(deps: CommandsApiDeps, act: Act, body: CommandWanted) {
  const { db, commands } = deps
  const { command: read, parts } = readWanted(body)
  const command: NewCommand = { ...read, parts, targets: await findTargets(deps, body) }
  const warnings = await checkSuited(deps, { ...command, parts }, command.targets)
  if (body.dry_run)
    return { ...renderNew(command, act), deliveries: [], warnings, ...(await foresee(deps, act, command)) }
  const { approval, undoUntil } = await db.transaction((trx) => commands.enqueue(trx, act, command))
  if (approval !== null) return showWaiting(deps.governor, approval)
  // Whoever sent the command has it; an answer is kept for a repeated Idempotency-Key.
  const { plist: _, ...told } = await show(commands, command.uuid)
  return { ...told, warnings, undo_until: undoUntil?.toISOString() ?? null }
}

/** As which act it would count, and whether it would be done at once. */
async function foresee({ commands, governor }: CommandsApiDeps, act: Act, command: NewCommand) {
  const governed = commands.governedActOf(command)
  const { by } = act
  if (governed === undefined || by === null) return { governed: null }
  const wanted = { act: governed, deviceIds: command.targets }
  const fits = await governor.foresee({ ...act, by }, wanted)
  return { governed: { act: governed, devices: command.targets.length, fits } }
}

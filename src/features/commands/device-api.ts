import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Db } from '../../db/index.ts'
import { AppError } from '../../kernel/errors.ts'
import { page, pageOf, pageQuery } from '../../kernel/paging.ts'
import type { Devices } from '../devices/index.ts'
import type { Push } from '../push/index.ts'
import type { Commands } from './commands.ts'
import { deviceDeliverySchema, deviceParams, pushedSchema } from './schema.ts'
import { beforeOf, renderDeviceDelivery } from './view.ts'

/** The queue and history of a device, and waking it. */
export function deviceCommandsApi(deps: {
  db: Db
  commands: Commands
  devices: Devices
  push: Pick<Push, 'request'>
}): FastifyPluginAsyncTypebox {
  const { db, commands, devices } = deps
  return async (app) => {
    app.get(
      '/devices/:id/commands',
      {
        config: { role: 'viewer' },
        schema: {
          tags: ['Commands'],
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

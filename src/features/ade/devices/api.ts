import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { pageOf, pageQuery } from '../../../kernel/paging.ts'
import { searchQuery } from '../../../kernel/schema.ts'
import { showWaiting, waitingSchema, type Governor } from '../../governor/index.ts'
import type { AdeDevices } from './devices.ts'
import { deviceSchema, deviceState } from './schema.ts'
import { showDevice } from './view.ts'

const TAGS = ['ADE devices']
const params = Type.Object({
  serial_number: Type.String({ maxLength: 64, description: 'The serial number.' }),
})

/** `/ade-devices`: the serial numbers that Apple assigned to us. */
export function adeDevicesApi(
  devices: AdeDevices,
  governor: Pick<Governor, 'approvals'>,
): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/ade-devices',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'Serial numbers in their order',
          description: 'All that Apple has ever told, those that are no longer ours too.',
          querystring: Type.Object({
            ...pageQuery,
            ...searchQuery,
            state: Type.Optional(deviceState),
            serial_number: Type.Optional(
              Type.String({ minLength: 1, maxLength: 64, description: 'Only this serial number.' }),
            ),
            policy_id: Type.Optional(
              Type.String({ minLength: 1, description: 'Only those of this policy.' }),
            ),
            ade_server_id: Type.Optional(
              Type.String({ minLength: 1, description: 'Only those of this ADE server.' }),
            ),
          }),
          response: { 200: pageOf(deviceSchema) },
        },
      },
      async (request) => {
        const { items, next_cursor } = await devices.list(request.query)
        return { items: items.map(showDevice), next_cursor }
      },
    )

    app.get(
      '/ade-devices/:serial_number',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'One serial number',
          description: 'What Apple says of it, and how far it has come here.',
          params,
          response: { 200: deviceSchema },
        },
      },
      async (request) => showDevice(await devices.get(request.params.serial_number)),
    )

    for (const [verb, isBlocked] of [
      ['block', true],
      ['unblock', false],
    ] as const) {
      app.post(
        `/ade-devices/:serial_number/${verb}`,
        {
          config: { role: 'operator' },
          schema: {
            tags: TAGS,
            summary: isBlocked ? 'Refuse the device at power-on' : 'Let the device enrol again',
            description: isBlocked
              ? 'Its next try ends with an empty refusal; an enrollment that lives goes on.'
              : 'From its next try on. One that is not blocked stays as it is.',
            params,
            response: { 200: deviceSchema },
          },
        },
        async (request) =>
          showDevice(await devices.setBlocked(request.params.serial_number, isBlocked, request.act)),
      )
    }

    app.post(
      '/ade-devices/:serial_number/release',
      {
        config: { role: 'admin' },
        schema: {
          tags: TAGS,
          summary: 'Release the device from the organisation',
          description: 'Apple forgets for good that it belongs to it. Confirmed with the serial number.',
          params,
          body: Type.Object(
            { confirm: Type.String({ maxLength: 64, description: 'The serial number once more.' }) },
            { title: 'AdeDeviceRelease', description: 'That this is meant.' },
          ),
          response: { 200: deviceSchema, 202: waitingSchema },
        },
      },
      async (request, reply) => {
        const { params: of, body, act } = request
        const done = await devices.release(of.serial_number, body.confirm, act)
        if (!('deed' in done)) return reply.send(showDevice(done))
        return reply.code(202).send(await showWaiting(governor, done))
      },
    )
  }
}

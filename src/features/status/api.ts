import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { text } from '../../kernel/schema.ts'
import type { Ade } from '../ade/index.ts'
import type { Commands } from '../commands/index.ts'
import type { Devices } from '../devices/index.ts'

const counts = (description: string) => Type.Record(Type.String(), Type.Integer(), { description })

const statusSchema = Type.Object(
  {
    version: text('The version of the server.'),
    devices: counts('How many devices are in each state.'),
    ade_devices: counts('How many serial numbers are in each state.'),
    assignments: counts('How many serial numbers are in each state of assignment at Apple.'),
    commands: counts('How many deliveries are pending, by state.'),
  },
  { title: 'Status', description: 'How many there are of what, now.' },
)

/** `/status`: the numbers with which a look at the server begins. */
export function statusApi(deps: {
  version: string
  devices: Pick<Devices, 'countByState'>
  commands: Pick<Commands, 'countPending'>
  ade: Pick<Ade, 'countStates'>
}): FastifyPluginAsyncTypebox {
  const { version, devices, commands, ade } = deps
  return async (app) => {
    app.get(
      '/status',
      {
        config: { role: 'viewer' },
        schema: {
          tags: ['Status'],
          summary: 'Devices, serial numbers and commands by their states',
          description: 'The same numbers as the gauges at /metrics, as they are now.',
          response: { 200: statusSchema },
        },
      },
      async () => {
        const { states, assignments } = await ade.countStates()
        return {
          version,
          devices: await devices.countByState(),
          ade_devices: Object.fromEntries(states),
          assignments: Object.fromEntries(assignments),
          commands: await commands.countPending(),
        }
      },
    )
  }
}

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Ade } from './ade.ts'
import { assignmentApi } from './assignment/api.ts'
import { adeDevicesApi } from './devices/api.ts'
import { serversApi } from './servers-api.ts'
import { syncsApi } from './syncs/api.ts'

/** `/ade-servers`, `/ade-devices` and the assignment of policies. */
export function adeApi({ ade }: { ade: Pick<Ade, 'parts'> }): FastifyPluginAsyncTypebox {
  const { parts } = ade
  return async (app) => {
    await app.register(serversApi(parts))
    await app.register(syncsApi(parts))
    await app.register(adeDevicesApi(parts.devices, parts.governor))
    await app.register(assignmentApi(parts.assignRequests))
  }
}

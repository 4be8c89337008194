import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { EnrollmentDeps } from './deps.ts'
import { profileIdentifier } from './profile.ts'
import { deleteDevice, requestUnenroll } from './end.ts'

const TAGS = ['Devices']
const params = Type.Object({ id: Type.String() })

/** `POST /devices/{id}/unenroll` and `DELETE /devices/{id}`: how an administrator ends an enrollment. */
export function enrollmentApi(deps: EnrollmentDeps): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.post(
      '/devices/:id/unenroll',
      {
        config: { role: 'operator' },
        schema: {
          tags: TAGS,
          summary: 'Remove the enrollment profile from a device',
          params,
          response: { 202: Type.Object({ device_id: Type.String(), command_uuid: Type.String() }) },
        },
      },
      async (request, reply) => {
        const { id } = request.params
        const uuid = await requestUnenroll(deps, id, {
          profileIdentifier: profileIdentifier(deps.instanceId),
          createdBy: `${request.actor.kind}:${request.actor.id}`,
        })
        return reply.code(202).send({ device_id: id, command_uuid: uuid })
      },
    )

    app.delete(
      '/devices/:id',
      {
        config: { role: 'operator' },
        schema: {
          tags: TAGS,
          summary: 'Forget a device',
          params,
          querystring: Type.Object({
            force: Type.Boolean({ default: false, description: 'Even if it is still enrolled.' }),
          }),
          response: { 204: Type.Null() },
        },
      },
      async (request, reply) => {
        await deleteDevice(deps, request.params.id, request.query.force)
        return reply.code(204).send(null)
      },
    )
  }
}

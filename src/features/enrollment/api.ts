import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { idParam, nothing, text, time } from '../../kernel/schema.ts'
import type { EnrollmentDeps } from './deps.ts'
import { deleteDevice, requestUnenroll } from './end.ts'
import { showWaiting, showOrdered, undoUntil, waitingSchema } from '../governor/index.ts'
import { allowReEnrollment } from './re-enrollment.ts'

const TAGS = ['Devices']
const params = idParam('The id of the device (an enrollment id).')

/** How an administrator ends an enrollment, or gives its place to another: acts on `/devices/{id}`. */
export function enrollmentApi(deps: EnrollmentDeps): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.post(
      '/devices/:id/unenroll',
      {
        config: { role: 'operator' },
        schema: {
          tags: TAGS,
          summary: 'Remove the enrollment profile from a device',
          description: 'By a command that is pushed; the enrollment ends when the device has done it.',
          params,
          response: {
            202: Type.Union(
              [
                Type.Object(
                  {
                    device_id: text('The device.'),
                    command_uuid: text('The RemoveProfile command (`/commands/{uuid}`).'),
                    undo_until: undoUntil,
                  },
                  { title: 'Unenrolling', description: 'What was queued.' },
                ),
                waitingSchema,
              ],
              {
                title: 'UnenrollAnswer',
                description: 'What was queued, or what waits for a second person.',
              },
            ),
          },
        },
      },
      async (request, reply) => {
        const { id } = request.params
        const unenrolling = { device_id: id, ...(await requestUnenroll(deps, id, request.act)) }
        return reply.code(202).send(await showOrdered(deps.governor, unenrolling))
      },
    )

    app.post(
      '/devices/:id/allow-re-enrollment',
      {
        config: { role: 'operator' },
        schema: {
          tags: TAGS,
          summary: 'Let another identity take the place of a device, once within the hour',
          description:
            'For a device that nobody can show to be the one that is enrolled: it was given to somebody else, or was erased and has had no contact since. Whoever enrolls as this device next takes its place.',
          params,
          response: {
            202: Type.Object(
              { allowed_until: time('Until when, or until one has taken it.') },
              { title: 'ReEnrollmentAllowed', description: 'What was allowed.' },
            ),
          },
        },
      },
      async (request, reply) => {
        const until = await allowReEnrollment(deps, request.params.id, request.act)
        return reply.code(202).send({ allowed_until: until.toISOString() })
      },
    )

    app.delete(
      '/devices/:id',
      {
        config: { role: 'operator' },
        schema: {
          tags: TAGS,
          summary: 'Forget a device',
          description: 'One that is enrolled only by force: it is not told, and keeps its profile.',
          params,
          querystring: Type.Object({
            force: Type.Boolean({ default: false, description: 'Even if it is still enrolled.' }),
          }),
          response: { 202: waitingSchema, 204: nothing },
        },
      },
      async (request, reply) => {
        const approval = await deleteDevice(deps, request.params.id, request.act, request.query)
        return approval === null
          ? reply.code(204).send()
          : reply.code(202).send(await showWaiting(deps.governor, approval))
      },
    )
  }
}

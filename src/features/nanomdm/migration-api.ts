import type { FastifyPluginAsync } from 'fastify'
import type { MessageReader } from '../../protocol/mdm/index.ts'
import type { Enrollment } from '../enrollment/index.ts'

/** In which all messages are read one after the other. */
const LANE = 'migration'

/** `/migration`: what devices once said to another server, as it came (see `moveIn`). */
export function migrationApi(deps: {
  reader: Pick<MessageReader, 'readCheckin'>
  enrollment: Pick<Enrollment, 'moveIn'>
}): FastifyPluginAsync {
  return async (app) => {
    app.route({
      method: ['PUT', 'POST'],
      url: '/migration',
      config: { role: 'operator' },
      handler: async (request, reply) => {
        const given = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
        const read = await deps.reader.readCheckin(given, LANE)
        const raw = { raw: read.returned ?? given, digest: read.sha256, act: request.act }
        await deps.enrollment.moveIn(read.message, raw)
        return reply.code(200).send()
      },
    })
  }
}

import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { AppError } from '../../kernel/errors.ts'
import { fetchLink, type LinkFetchDeps } from './link-fetch.ts'
import { PROFILE_TYPE } from './profile.ts'

/** `GET /enroll/link/{key}` of the enroll scope. A refusal is an empty 403; its reason is in the attempt. */
export function linkRoutes(deps: LinkFetchDeps): FastifyPluginAsync {
  return async (app) => {
    // A look by HEAD, as link previews take it, must not open an attempt.
    app.get<{ Params: { key: string } }>(
      '/enroll/link/:key',
      { exposeHeadRoute: false },
      async (request, reply) => {
        void reply.header('cache-control', 'no-store')
        const answer = await fetchLink(deps, request.params.key, request.id)
        if (answer === undefined) throw unknownKey(deps, request)
        if ('refused' in answer) return reply.code(403).send()
        return reply
          .type(PROFILE_TYPE)
          .header('content-disposition', 'attachment; filename="enrollment.mobileconfig"')
          .send(answer.profile)
      },
    )
  }
}

/** Tells of a guess and counts it against the address; throws when it has guessed too often. */
function unknownKey({ events }: LinkFetchDeps, request: FastifyRequest): AppError {
  const event = { type: 'enrollment.rejected', request_id: request.id, data: { way: 'link' } } as const
  try {
    request.noteFailure()
  } catch (error) {
    events.announce({ ...event, reason: 'too_many_failures' })
    throw error
  }
  events.announce({ ...event, reason: 'unknown_key' })
  return new AppError('not_found', 'There is no such enrollment link.')
}

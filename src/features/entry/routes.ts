import type { FastifyPluginAsync } from 'fastify'
import { createLinkFetch, type LinkFetchDeps } from './link-fetch.ts'
import type { EntryDeps } from './power-on/deps.ts'
import { createEntrance } from './power-on/entrance.ts'
import { createPowerOn } from './power-on/native.ts'
import { powerOnRoutes } from './power-on/routes.ts'
import { PROFILE_HEADERS } from './profile.ts'
import { refuseGuess } from './refused-guess.ts'
import { webRoutes } from './web/routes.ts'
import { createWeb } from './web/web.ts'

/** `GET /enroll/link/{key}` of the enroll scope. A refusal is an empty 403; its reason is told to administrators. */
export function linkRoutes(deps: LinkFetchDeps): FastifyPluginAsync {
  const fetchLink = createLinkFetch(deps)
  return async (app) => {
    // A look by HEAD, as link previews take it, must not make a challenge.
    app.get<{ Params: { key: string } }>(
      '/enroll/link/:key',
      { exposeHeadRoute: false },
      async (request, reply) => {
        void reply.header('cache-control', 'no-store')
        const answer = await fetchLink(request.params.key, request)
        if (answer === undefined) return refuseGuess(deps.strangers, request, 'link')
        if ('refused' in answer) return reply.code(403).send()
        return reply.headers(PROFILE_HEADERS).send(answer.profile)
      },
    )
  }
}

/** `/enroll/ade/{key}`, `/enroll/web/{key}` and `/enroll` with its pages, of the enroll scope. */
export function entryRoutes(deps: EntryDeps): FastifyPluginAsync {
  const entrance = createEntrance(deps)
  return async (app) => {
    await app.register(powerOnRoutes(deps, createPowerOn(deps, entrance)))
    await app.register(webRoutes(deps, createWeb(deps, entrance)))
  }
}

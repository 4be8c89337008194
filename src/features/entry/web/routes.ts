import formbody from '@fastify/formbody'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../../kernel/errors.ts'
import { lookFor } from '../pages/language.ts'
import { PAGE_HEADERS } from '../pages/layout.ts'
import type { EntryDeps } from '../power-on/deps.ts'
import { PROFILE_TYPE } from '../profile.ts'
import { refuseGuess } from '../refused-guess.ts'
import type { WebAnswer, WebRequest } from './answers.ts'
import type { Form } from './forms.ts'
import type { Web } from './web.ts'

const MAX_FORM_BYTES = 16 * 1024
const SEE_OTHER = 303

/** The web view of Setup Assistant and the page `/enroll`, in the enroll scope. */
export function webRoutes(deps: Pick<EntryDeps, 'settings' | 'strangers'>, web: Web): FastifyPluginAsync {
  async function toRequest({ headers, ip, id }: FastifyRequest): Promise<WebRequest> {
    const deviceInfo = headers['x-apple-aspen-deviceinfo']
    return {
      cookie: headers.cookie,
      userAgent: headers['user-agent'],
      deviceInfo: Array.isArray(deviceInfo) ? deviceInfo[0] : deviceInfo,
      address: ip,
      requestId: id,
      look: lookFor(headers['accept-language'], await deps.settings.get()),
    }
  }

  return async (app) => {
    await app.register(formbody, { bodyLimit: MAX_FORM_BYTES })
    // A look by HEAD must open no session and use no challenge.
    const quiet = { exposeHeadRoute: false }

    app.get<{ Params: { key: string } }>('/enroll/web/:key', quiet, async (request, reply) => {
      const answer = await web.openWebView(await toRequest(request), request.params.key)
      if (answer.kind === 'unknown_key') {
        refuseGuess(deps.strangers, request, 'ade_web')
        throw new AppError('not_found', 'There is no such enrollment address.')
      }
      return send(reply, answer)
    })
    app.get('/enroll', quiet, async (request, reply) =>
      send(reply, await web.openPage(await toRequest(request))),
    )
    app.post('/enroll', async (request, reply) =>
      send(reply, await web.submit(await toRequest(request), toForm(request))),
    )
    app.get('/enroll/sign-in', quiet, async (request, reply) =>
      send(reply, await web.show(await toRequest(request))),
    )
    app.post('/enroll/sign-in', async (request, reply) =>
      send(reply, await web.submit(await toRequest(request), toForm(request))),
    )
    app.post('/enroll/password', async (request, reply) =>
      send(reply, await web.changePassword(await toRequest(request), toForm(request))),
    )
    app.get('/enroll/oidc/start', quiet, async (request, reply) =>
      send(reply, await web.startOidc(await toRequest(request), queryOf(request).get('source') ?? '')),
    )
    app.get('/enroll/oidc/callback', quiet, async (request, reply) =>
      send(reply, await web.finishOidc(await toRequest(request), queryOf(request))),
    )
    app.get('/enroll/ready', quiet, async (request, reply) =>
      send(reply, await web.ready(await toRequest(request))),
    )
    app.get('/enroll/profile', quiet, async (request, reply) =>
      send(reply, await web.fetch(await toRequest(request))),
    )
  }
}

function toForm({ body }: FastifyRequest): Form {
  if (typeof body !== 'object' || body === null || Buffer.isBuffer(body)) return {}
  return Object.fromEntries(
    Object.entries(body).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}

function queryOf({ url }: FastifyRequest): URLSearchParams {
  const at = url.indexOf('?')
  return new URLSearchParams(at < 0 ? '' : url.slice(at + 1))
}

function send(reply: FastifyReply, answer: WebAnswer): FastifyReply {
  void reply.headers(PAGE_HEADERS)
  if (answer.setCookie !== undefined) void reply.header('set-cookie', answer.setCookie)
  switch (answer.kind) {
    case 'redirect':
      return reply.code(SEE_OTHER).header('location', answer.to).send()
    case 'profile':
      return reply
        .type(PROFILE_TYPE)
        .header('content-disposition', 'attachment; filename="enrollment.mobileconfig"')
        .send(answer.profile)
    case 'page':
      if (answer.retryAfterSeconds !== undefined)
        void reply.header('retry-after', String(answer.retryAfterSeconds))
      return reply.code(answer.status).type('text/html; charset=utf-8').send(answer.page)
    case 'unknown_key':
      throw new AppError('not_found', 'There is no such enrollment address.')
  }
}

import formbody from '@fastify/formbody'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { lookFor } from '../pages/language.ts'
import { PAGE_HEADERS } from '../pages/layout.ts'
import type { EntryDeps } from '../power-on/deps.ts'
import { PROFILE_HEADERS } from '../profile.ts'
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

  /** Answers with what a step of the way comes to. */
  function answer(step: (request: WebRequest, from: FastifyRequest) => Promise<WebAnswer>) {
    return async (from: FastifyRequest, reply: FastifyReply) => {
      const answered = await step(await toRequest(from), from)
      if (answered.kind === 'unknown_key') return refuseGuess(deps.strangers, from, 'ade_web')
      return send(reply, answered)
    }
  }

  return async (app) => {
    await app.register(formbody, { bodyLimit: MAX_FORM_BYTES })
    // A look by HEAD must open no session and use no challenge.
    const quiet = { exposeHeadRoute: false }
    const submit = answer((request, from) => web.submit(request, toForm(from)))

    app.get(
      '/enroll/web/:key',
      quiet,
      answer((request, { params }) => web.openWebView(request, (params as { key: string }).key)),
    )
    app.get('/enroll', quiet, answer(web.openPage))
    app.post('/enroll', submit)
    app.get('/enroll/sign-in', quiet, answer(web.show))
    app.post('/enroll/sign-in', submit)
    app.post(
      '/enroll/password',
      answer((request, from) => web.changePassword(request, toForm(from))),
    )
    app.get(
      '/enroll/oidc/start',
      quiet,
      answer((request, from) => web.startOidc(request, queryOf(from).get('source') ?? '')),
    )
    app.get(
      '/enroll/oidc/callback',
      quiet,
      answer((request, from) => web.finishOidc(request, queryOf(from))),
    )
    app.get('/enroll/ready', quiet, answer(web.ready))
    app.get('/enroll/profile', quiet, answer(web.fetch))
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

function send(reply: FastifyReply, answer: Exclude<WebAnswer, { kind: 'unknown_key' }>): FastifyReply {
  void reply.headers(PAGE_HEADERS)
  if (answer.setCookie !== undefined) void reply.header('set-cookie', answer.setCookie)
  switch (answer.kind) {
    case 'redirect':
      return reply.code(SEE_OTHER).header('location', answer.to).send()
    case 'profile':
      return reply.headers(PROFILE_HEADERS).send(answer.profile)
    case 'page':
      if (answer.retryAfterSeconds !== undefined)
        void reply.header('retry-after', String(answer.retryAfterSeconds))
      return reply.code(answer.status).type('text/html; charset=utf-8').send(answer.page)
  }
}

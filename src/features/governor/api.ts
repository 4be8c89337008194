import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { etagOf } from '../../kernel/etag.ts'
import type { Governor } from './governor.ts'
import { governorPatch, governorSchema, whySchema } from './schema.ts'
import { showGovernor } from './view.ts'

const TAGS = ['Governor']

/** `/governor`: the limits of acts that destroy something, and the word that stops all of them. */
export function governorApi(deps: { governor: Governor }): FastifyPluginAsyncTypebox {
  const { governor } = deps
  return async (app) => {
    app.get(
      '/governor',
      {
        config: { role: 'viewer', etag: true },
        schema: {
          tags: TAGS,
          summary: 'The limits of acts that destroy something',
          description: 'Counted in devices over the last hour; above them a second person is needed.',
          response: { 200: governorSchema },
        },
      },
      async (_request, reply) => {
        const view = await governor.view()
        return reply.header('etag', etagOf(view.version)).send(showGovernor(view))
      },
    )

    app.put(
      '/governor',
      {
        config: { role: 'admin', etag: true },
        schema: {
          tags: TAGS,
          summary: 'Change the limits',
          description: 'What is left out stays. What lets more happen is told as `governor.loosened`.',
          body: governorPatch,
          response: { 200: governorSchema },
        },
      },
      async (request, reply) => {
        const view = await governor.put(request.body, request.act)
        return reply.header('etag', etagOf(view.version)).send(showGovernor(view))
      },
    )

    app.post(
      '/governor/stop',
      {
        config: { role: 'operator' },
        schema: {
          tags: TAGS,
          summary: 'Stop all that destroys something',
          description:
            'What was not sent yet is cancelled, what waits for a second person stays waiting, and nothing new starts until somebody resumes.',
          body: whySchema,
          response: { 200: governorSchema },
        },
      },
      async ({ body, act }) => showGovernor(await governor.stop(body.reason, act)),
    )

    app.post(
      '/governor/resume',
      {
        config: { role: 'admin' },
        schema: {
          tags: TAGS,
          summary: 'Let go on what was stopped',
          description: 'What the stop has cancelled stays so.',
          body: whySchema,
          response: { 200: governorSchema },
        },
      },
      async ({ body, act }) => showGovernor(await governor.resume(body.reason, act)),
    )
  }
}

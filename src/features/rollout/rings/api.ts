import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { etagOf } from '../../../kernel/etag.ts'
import { pageOf, pageQuery } from '../../../kernel/paging.ts'
import { datesOf, idParam } from '../../../kernel/schema.ts'
import type { Rollouts, RolloutView } from './rollouts.ts'
import { newRolloutSchema, rolloutSchema } from './schema.ts'

const TAGS = ['Rollouts']
const params = idParam('The id of the rollout.')

/** `/rollouts`: revisions that are released in rings. */
export function rolloutsApi({ rollouts }: { rollouts: Rollouts }): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.post(
      '/rollouts',
      {
        config: { role: 'operator', etag: true },
        schema: {
          tags: TAGS,
          summary: 'Release a revision in rings',
          description:
            'The first ring gets it at once. One rollout of a thing is open at a time; a revision that nobody gets yet is stored with `?rollout=true`.',
          body: newRolloutSchema,
          response: { 201: rolloutSchema },
        },
      },
      async (request, reply) => {
        const started = await rollouts.start(request.body, request.act)
        return reply
          .code(201)
          .header('location', `/api/v1/rollouts/${started.id}`)
          .header('etag', etagOf(started.version))
          .send(render(started))
      },
    )
    app.get(
      '/rollouts',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'Rollouts, newest first',
          description: 'Those that are over keep what was counted.',
          querystring: Type.Object({
            ...pageQuery,
            kind: Type.Optional(Type.Enum(['profile', 'app'], { description: 'Only of these.' })),
            thing_id: Type.Optional(Type.String({ description: 'Only of this profile or app.' })),
          }),
          response: { 200: pageOf(rolloutSchema) },
        },
      },
      async (request) => {
        const { items, next_cursor } = await rollouts.list(request.query)
        return { items: items.map(render), next_cursor }
      },
    )
    app.get(
      '/rollouts/:id',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'One rollout, counted by ring',
          description: 'How many devices of each ring have it, and with how many it has failed.',
          params,
          response: { 200: rolloutSchema },
        },
      },
      async (request, reply) => {
        const found = await rollouts.get(request.params.id)
        return reply.header('etag', etagOf(found.version)).send(render(found))
      },
    )
    for (const [path, summary, description, run] of [
      [
        'advance',
        'Go on to the next ring',
        'In the last ring it ends the rollout: everybody gets the revision.',
        rollouts.advance,
      ],
      ['halt', 'Halt a rollout', 'Devices that have it keep it; nobody else gets it.', rollouts.halt],
      [
        'resume',
        'Go on with a halted rollout',
        'What has failed is still counted; it halts again when more fails.',
        rollouts.resume,
      ],
      [
        'roll-back',
        'Roll a rollout back',
        'All devices get the revision of before again.',
        rollouts.rollBack,
      ],
    ] as const)
      app.post(
        `/rollouts/:id/${path}`,
        {
          config: { role: 'operator', etag: true },
          schema: { tags: TAGS, summary, description, params, response: { 200: rolloutSchema } },
        },
        async (request, reply) => {
          const after = await run(request.params.id, request.act)
          return reply.header('etag', etagOf(after.version)).send(render(after))
        },
      )
  }
}

function render({
  counted,
  counts: _c,
  group_ids: _g,
  version: _v,
  failed_before: _f,
  ...rollout
}: RolloutView) {
  return {
    ...rollout,
    ...datesOf(rollout),
    ring_started_at: rollout.ring_started_at.toISOString(),
    rings: rollout.rings.map((ring, at) => ({
      ...ring,
      ...(counted[at] ?? { devices: 0, installed: 0, failed: 0 }),
    })),
  }
}

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { pageOf, pageQuery } from '../../kernel/paging.ts'
import { idParam } from '../../kernel/schema.ts'
import type { Approval } from './approvals-store.ts'
import type { Governor } from './governor.ts'
import { approvalSchema } from './schema.ts'
import { showApproval } from './view.ts'

const TAGS = ['Governor']
const params = idParam('The id of the approval.')

/** `/approvals`: what waits for a second person. */
export function approvalsApi(deps: { governor: Governor }): FastifyPluginAsyncTypebox {
  const { approvals } = deps.governor
  const show = (approval: Approval) => showApproval(deps.governor, approval)
  return async (app) => {
    app.get(
      '/approvals',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'What waits, or waited, for a second person',
          description: 'The newest first.',
          querystring: Type.Object({ ...pageQuery, state: Type.Optional(approvalSchema.properties.state) }),
          response: { 200: pageOf(approvalSchema) },
        },
      },
      async (request) => {
        const { items, next_cursor } = await approvals.list(request.query)
        return { items: await Promise.all(items.map(show)), next_cursor }
      },
    )

    app.get(
      '/approvals/:id',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'One of them',
          description: 'And what became of it.',
          params,
          response: { 200: approvalSchema },
        },
      },
      async (request) => show(await approvals.get(request.params.id)),
    )

    const decisions = [
      [
        'approve',
        'Approve an act',
        'It is done at once, for those of its devices that are still what they were. Not by who asked for it, nor by what made that token, nor by a token that these made.',
      ],
      ['reject', 'Reject an act', 'It is not done. Not by who asked for it: that is `cancel`.'],
      ['cancel', 'Take an act back', 'While it waits, or can still be taken back.'],
    ] as const
    for (const [decision, summary, description] of decisions)
      app.post(
        `/approvals/:id/${decision}`,
        {
          config: { role: 'operator' },
          schema: { tags: TAGS, summary, description, params, response: { 200: approvalSchema } },
        },
        async (request) => {
          const { id } = request.params
          const { role } = await approvals.get(id)
          if (decision !== 'cancel') request.requireRole(role)
          return show(await approvals[decision](id, request.act))
        },
      )
  }
}

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { AppError } from '../../kernel/errors.ts'
import { decodeCursor, page, pageOf, pageQuery } from '../../kernel/paging.ts'
import type { Attempts } from './attempts.ts'
import { explainReason, REASON_CODES } from './reasons.ts'
import { OUTCOMES, WAYS, type Attempt, type TimelineStep } from './types.ts'

const TAGS = ['Enrollment attempts']

const text = Type.Union([Type.String(), Type.Null()])
const time = Type.String({ format: 'date-time' })

const timelineSchema = Type.Object({
  at: time,
  step: Type.String({ description: 'The contact or decision.' }),
  outcome: Type.Union([Type.Literal('passed'), Type.Literal('refused')]),
  reason: text,
  reason_text: Type.Union([Type.String(), Type.Null()], { description: 'The reason in plain words.' }),
  detail: Type.Record(Type.String(), Type.Unknown()),
})

const attemptSchema = Type.Object({
  id: Type.String(),
  way: Type.Enum(WAYS),
  outcome: Type.Enum(OUTCOMES),
  reason: text,
  reason_text: Type.Union([Type.String(), Type.Null()], { description: 'The reason in plain words.' }),
  serial_number: text,
  udid: text,
  user_name: text,
  policy_id: text,
  link_id: text,
  enrollment_id: text,
  timeline: Type.Array(timelineSchema),
  created_at: time,
  updated_at: time,
  closed_at: Type.Union([time, Type.Null()]),
})

const filters = {
  serial_number: Type.Optional(Type.String({ maxLength: 256 })),
  user_name: Type.Optional(Type.String({ maxLength: 256, description: 'Whatever its case.' })),
  outcome: Type.Optional(Type.Enum(OUTCOMES)),
  reason: Type.Optional(Type.Enum(REASON_CODES)),
}

/** `/enrollment-attempts`, newest first, each with its timeline. */
export function attemptsApi(deps: { attempts: Pick<Attempts, 'list' | 'get'> }): FastifyPluginAsyncTypebox {
  const { attempts } = deps
  return async (app) => {
    app.get(
      '/enrollment-attempts',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'Tries of devices to enroll, newest first',
          querystring: Type.Object({ ...filters, ...pageQuery }, { additionalProperties: false }),
          response: { 200: pageOf(attemptSchema) },
        },
      },
      async (request) => {
        const { limit, cursor, ...wanted } = request.query
        const [before] = decodeCursor(cursor, ['string']) ?? []
        const rows = await attempts.list({
          ...wanted,
          ...(before === undefined ? {} : { before }),
          limit: limit + 1,
        })
        const { items, next_cursor } = page(rows, limit, (row) => [row.id])
        return { items: items.map(render), next_cursor }
      },
    )

    app.get(
      '/enrollment-attempts/:id',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'One try of a device to enroll, with its timeline',
          params: Type.Object({ id: Type.String() }),
          response: { 200: attemptSchema },
        },
      },
      async (request) => {
        const attempt = await attempts.get(request.params.id)
        if (attempt === undefined) throw new AppError('not_found', 'There is no such enrollment attempt.')
        return render(attempt)
      },
    )
  }
}

function render(attempt: Attempt & { timeline: TimelineStep[] }) {
  const { deadline: _, user_id: __, created_at, updated_at, closed_at, timeline, ...rest } = attempt
  return {
    ...rest,
    reason_text: explainReason(attempt.reason),
    timeline: timeline.map((step) => ({
      ...step,
      at: step.at.toISOString(),
      reason_text: explainReason(step.reason),
    })),
    created_at: created_at.toISOString(),
    updated_at: updated_at.toISOString(),
    closed_at: closed_at?.toISOString() ?? null,
  }
}

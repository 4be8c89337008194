import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { AppError } from '../../kernel/errors.ts'
import { decodeCursor, page, pageOf, pageQuery } from '../../kernel/paging.ts'
import {
  dates,
  datesOf,
  idParam,
  searchQuery,
  text,
  textOrNull,
  time,
  timeOrNull,
  timesQuery,
} from '../../kernel/schema.ts'
import type { Attempts } from './attempts.ts'
import { explainReason, REASON_CODES } from './reasons.ts'
import { lastRefusal } from './timeline.ts'
import { OUTCOMES, WAYS, type Attempt, type TimelineStep } from './types.ts'

const timelineSchema = Type.Object(
  {
    at: time('When it was.'),
    step: text('The contact or decision.'),
    outcome: Type.Enum(['passed', 'refused'], { description: 'How it went.' }),
    reason: textOrNull('Why it was refused, as a stable code.'),
    reason_text: textOrNull('The reason in plain words.'),
    user_name: textOrNull('Who signed in, or tried to.'),
    detail: Type.Record(Type.String(), Type.Unknown(), { description: 'What else is known, by step.' }),
  },
  { title: 'EnrollmentStep', description: 'A contact or a decision of an enrollment attempt.' },
)

const refusalSchema = Type.Object(
  {
    at: time('When it was.'),
    step: text('What was refused.'),
    reason: text('Why, as a stable code.'),
    reason_text: text('The reason in plain words.'),
    detail: Type.Record(Type.String(), Type.Unknown(), { description: 'What else is known.' }),
  },
  { title: 'EnrollmentRefusal', description: 'The last thing that was refused in an enrollment attempt.' },
)

const attemptSchema = Type.Object(
  {
    id: text('The id of the attempt.'),
    way: Type.Enum(WAYS, {
      description:
        'ade: Setup Assistant’s own form; ade_web: its web page; link: an enrollment link; page: `/enroll`.',
    }),
    outcome: Type.Enum(OUTCOMES, {
      description: 'How it stands; rejected: it was refused; expired: it went nowhere.',
    }),
    reason: textOrNull('Why it did not enroll, as a stable code.'),
    reason_text: textOrNull('The reason in plain words.'),
    serial_number: textOrNull('Of the device, where it is known.'),
    udid: textOrNull('Of the device, where it is known.'),
    user_name: textOrNull('Who tried to enroll it, where that is known.'),
    policy_id: textOrNull('The enrollment policy that applied.'),
    link_id: textOrNull('The enrollment link that was used.'),
    enrollment_id: textOrNull('The device (`/devices/{id}`) that came of it.'),
    last_refusal: Type.Union([refusalSchema, Type.Null()], {
      description: 'The last thing that was refused, also while the attempt is in progress.',
    }),
    timeline: Type.Array(timelineSchema, { description: 'Each contact and decision, oldest first.' }),
    ...dates,
    closed_at: timeOrNull('When it ended.'),
  },
  { title: 'EnrollmentAttempt', description: 'One try of one device to enroll.' },
)

const filters = {
  serial_number: Type.Optional(
    Type.String({ maxLength: 256, description: 'Only those of this serial number.' }),
  ),
  user_name: Type.Optional(
    Type.String({
      maxLength: 256,
      description: 'Only those in which this person signed in or tried to, whatever the case.',
    }),
  ),
  outcome: Type.Optional(Type.Enum(OUTCOMES, { description: 'Only those that stand so.' })),
  reason: Type.Optional(
    Type.Enum(REASON_CODES, { description: 'Only those in which something was refused for this reason.' }),
  ),
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
          summary: 'Tries of devices to enroll, newest first',
          description: 'Why a device did not enroll stands here.',
          querystring: Type.Object(
            { ...filters, ...searchQuery, ...timesQuery('begun'), ...pageQuery },
            { additionalProperties: false },
          ),
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
          summary: 'One try of a device to enroll, with its timeline',
          description: 'The timeline has each contact and each decision, passed or refused.',
          params: idParam('The id of the enrollment attempt.'),
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
  const { deadline: _, user_id: __, closed_at, timeline, ...rest } = attempt
  return {
    ...rest,
    reason_text: explainReason(attempt.reason),
    last_refusal: renderRefusal(lastRefusal(timeline)),
    timeline: timeline.map((step) => ({
      ...step,
      at: step.at.toISOString(),
      reason_text: explainReason(step.reason),
    })),
    ...datesOf(attempt),
    closed_at: closed_at?.toISOString() ?? null,
  }
}

function renderRefusal(refusal: ReturnType<typeof lastRefusal>) {
  if (refusal === undefined) return null
  const { at, step, reason, detail } = refusal
  return { at: at.toISOString(), step, reason, reason_text: explainReason(reason) ?? reason, detail }
}

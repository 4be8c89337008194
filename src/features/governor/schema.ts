import { Type } from 'typebox'
import { LINE_PATTERN } from '../../kernel/names.ts'
import { actorSchema, dates, orNull, text, textOrNull, time, timeOrNull } from '../../kernel/schema.ts'
import { GOVERNED_ACTS } from './limits.ts'

const MOST = 10_000_000

const count = (description: string) =>
  Type.Union([Type.Integer({ minimum: 0, maximum: MOST }), Type.Null()], { description })

const limit = {
  per_token_per_hour: count(
    'Devices in an hour for one token or person; 0 = never alone, null = any number.',
  ),
  per_hour: count('Devices in an hour for all together; 0 = never alone, null = any number.'),
}

const rest = {
  above: Type.Enum(['approval', 'refuse'], {
    description: 'What does not fit waits for a second person, or is refused.',
  }),
  undo_minutes: Type.Integer({
    minimum: 0,
    maximum: 1440,
    description: 'So long what was accepted can be taken back before it is done.',
  }),
  approval_expires_minutes: Type.Integer({
    minimum: 1,
    maximum: 43_200,
    description: 'So long it waits for a second person.',
  }),
}

const stopped = Type.Object(
  {
    reason: text('Why.'),
    by: orNull(actorSchema, 'Who stopped it.'),
    at: time('Since when.'),
  },
  { title: 'Stopped', description: 'Nothing that destroys something is started, until somebody resumes.' },
)

/** The governor as it is. */
export const governorSchema = Type.Object(
  {
    acts: Type.Object(
      Object.fromEntries(
        GOVERNED_ACTS.map((act) => [
          act,
          Type.Object(limit, { title: 'GovernorLimit', description: 'A limit, counted in devices.' }),
        ]),
      ),
      { description: 'The limits of each act.' },
    ),
    ...rest,
    stopped: orNull(stopped, 'Whether all is stopped.'),
    ...dates,
  },
  { title: 'Governor', description: 'What limits acts that destroy something.' },
)

/** What is to change of it. */
export const governorPatch = Type.Object(
  {
    acts: Type.Optional(
      Type.Object(
        Object.fromEntries(
          GOVERNED_ACTS.map((act) => [
            act,
            Type.Optional(
              Type.Object(
                {
                  per_token_per_hour: Type.Optional(limit.per_token_per_hour),
                  per_hour: Type.Optional(limit.per_hour),
                },
                { title: 'GovernorLimitPatch', description: 'A limit; what is left out stays.' },
              ),
            ),
          ]),
        ),
        { description: 'Limits of acts; what is left out stays.' },
      ),
    ),
    above: Type.Optional(rest.above),
    undo_minutes: Type.Optional(rest.undo_minutes),
    approval_expires_minutes: Type.Optional(rest.approval_expires_minutes),
  },
  { title: 'GovernorPatch', description: 'What is to change; what is left out stays.' },
)

/** Why all is stopped, or goes on. */
export const whySchema = Type.Object(
  {
    reason: Type.String({ minLength: 1, maxLength: 500, pattern: LINE_PATTERN, description: 'Why.' }),
  },
  { title: 'Why', description: 'Why.' },
)

/** What waits, or waited, for a second person. */
export const approvalSchema = Type.Object(
  {
    id: text('The approval.'),
    act: text('What is to be done: erase, lock, unenroll, ...'),
    state: Type.Enum(['waiting', 'approved', 'rejected', 'cancelled', 'expired'], {
      description: 'What became of it.',
    }),
    reason: textOrNull('Why it was cancelled, where nobody said so.'),
    device_ids: Type.Array(Type.String(), {
      description: 'For which devices, the first 1,000: enrollment ids, for a release serial numbers.',
    }),
    device_count: Type.Integer({ description: 'How many devices these are.' }),
    skipped_device_ids: Type.Array(Type.String(), {
      description: 'Those that were left out: they were not the same any more.',
    }),
    role: Type.Enum(['operator', 'admin'], { description: 'The role that decides.' }),
    requested_by: actorSchema,
    requested_via: text('Through what it was asked for.'),
    decided_by: orNull(actorSchema, 'Who decided.'),
    decided_at: timeOrNull('When.'),
    expires_at: time('It waits so long.'),
    undo_until: timeOrNull('It can be taken back (`cancel`) until then; null: not, or not any more.'),
    note: textOrNull('What is to be known of it: that nobody else could approve it now.'),
    ...dates,
  },
  { title: 'Approval', description: 'An act that waits, or waited, for a second person.' },
)

/** Until when an act can be taken back. */
export const undoUntil = timeOrNull('It can be taken back until then; null: at no time.')

/** The answer to an act that waits. */
export const waitingSchema = Type.Object(
  { approval: approvalSchema },
  { title: 'WaitsForApproval', description: 'It does not fit the limits, and waits for a second person.' },
)

import { Type } from 'typebox'
import { dates, orNull, text, textOrNull, time } from '../../../kernel/schema.ts'

const MOST_RINGS = 20
const MOST_MINUTES = 60 * 24 * 90

const kind = Type.Enum(['profile', 'app'], { description: 'What is released.' })
const revision = Type.Integer({ minimum: 1, description: 'The revision. By default the newest.' })
const percent = Type.Number({
  exclusiveMinimum: 0,
  maximum: 100,
  description: 'So many of all its devices, those of earlier rings among them.',
})
const group = Type.String({ minLength: 1, maxLength: 64, description: 'The members of this group.' })

const ring = Type.Union(
  [
    Type.Object(
      { percent },
      { additionalProperties: false, title: 'PercentRing', description: 'A share of the devices.' },
    ),
    Type.Object(
      { group_id: group },
      { additionalProperties: false, title: 'GroupRing', description: 'A group.' },
    ),
  ],
  { description: 'Devices that get it before others.' },
)

const advance = orNull(
  Type.Integer({ minimum: 1, maximum: MOST_MINUTES }),
  'The next ring follows by itself after so many minutes; null: by hand.',
)
const haltAt = Type.Integer({
  minimum: 1,
  maximum: 100,
  description: 'It halts when so many percent have failed. By default 10.',
})
const haltMinimum = Type.Integer({
  minimum: 1,
  maximum: 1_000_000,
  description: 'And at least so many devices. By default 3.',
})

/** A rollout as somebody wants it. */
export const newRolloutSchema = Type.Object(
  {
    kind,
    id: Type.String({ minLength: 1, maxLength: 64, description: 'The id of the profile or app.' }),
    revision: Type.Optional(revision),
    rings: Type.Array(ring, {
      minItems: 1,
      maxItems: MOST_RINGS,
      description: 'In the order in which they get it.',
    }),
    advance_after_minutes: Type.Optional(advance),
    halt_at_failure_percent: Type.Optional(haltAt),
    halt_minimum: Type.Optional(haltMinimum),
  },
  {
    additionalProperties: false,
    title: 'NewRollout',
    description: 'A revision that is to be released in rings.',
  },
)

const counted = {
  devices: Type.Integer({ description: 'Devices that are to have it.' }),
  installed: Type.Integer({ description: 'Those that have it.' }),
  failed: Type.Integer({ description: 'Those with which it has failed.' }),
}

/** A rollout. */
export const rolloutSchema = Type.Object(
  {
    id: text('The id of the rollout.'),
    kind,
    thing_id: text('The id of the profile or app.'),
    revision,
    state: Type.Enum(['running', 'halted', 'finished', 'rolled_back'], { description: 'How it stands.' }),
    reason: textOrNull('Why it was halted: failures, or by_hand.'),
    ring: Type.Integer({ description: 'The last ring that gets it, from 0.' }),
    ring_started_at: time('Since when it does.'),
    rings: Type.Array(
      Type.Object(
        {
          percent: Type.Optional(Type.Number({ description: 'So many of all its devices.' })),
          group_id: Type.Optional(text('The members of this group.')),
          ...counted,
        },
        { title: 'RolloutRing', description: 'A ring, counted.' },
      ),
      { description: 'In the order in which they get it.' },
    ),
    advance_after_minutes: advance,
    halt_at_failure_percent: haltAt,
    halt_minimum: haltMinimum,
    ...dates,
  },
  { title: 'Rollout', description: 'A revision that is released in rings.' },
)

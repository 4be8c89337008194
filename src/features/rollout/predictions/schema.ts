import { Type } from 'typebox'
import { orNull, text, textOrNull } from '../../../kernel/schema.ts'
import { newContentsSchema } from '../contents/schema.ts'

const kind = Type.Enum(['profile', 'app'], { description: 'What it is.' })

const because = Type.Array(
  Type.Object(
    { group_id: text('The group.'), group_name: text('Its name.') },
    { description: 'A group that brings it.' },
  ),
  { description: 'The groups that bring it.' },
)

/** What is asked: what would this device get? */
export const askedSchema = Type.Object(
  {
    device_id: Type.Optional(Type.String({ minLength: 1, maxLength: 1024, description: 'A device.' })),
    serial_number: Type.Optional(
      Type.String({ minLength: 1, maxLength: 64, description: 'Or one that may not have come yet.' }),
    ),
    contents: Type.Optional(
      Type.Object(
        {
          group_id: Type.String({ minLength: 1, maxLength: 64, description: 'The group.' }),
          ...newContentsSchema.properties,
        },
        { additionalProperties: false, description: 'As if this group had these contents.' },
      ),
    ),
  },
  {
    additionalProperties: false,
    title: 'PredictionAsked',
    description: 'Whose deliveries are to be foretold.',
  },
)

/** What it would get. */
export const predictionSchema = Type.Object(
  {
    items: Type.Array(
      Type.Object(
        {
          kind,
          id: text('The id of the profile or app.'),
          identifier: textOrNull('What tells it from others on the device.'),
          revision: orNull(Type.Integer(), 'The revision; null while a rollout keeps it from the device.'),
          critical: Type.Boolean({ description: 'A phone in Setup Assistant waits for it.' }),
          uncertain: Type.Boolean({ description: 'A group may keep it away, which is not known yet.' }),
          because,
        },
        { title: 'PredictedDelivery', description: 'What the device would have.' },
      ),
      { description: 'In the order in which it would be delivered.' },
    ),
  },
  { title: 'Prediction', description: 'What a device would have.' },
)

/** What writing contents would change. */
export const changesSchema = Type.Object(
  {
    device_count: Type.Integer({ description: 'The members of the group.' }),
    installs: Type.Integer({ description: 'How many deliveries would be new.' }),
    removals: Type.Integer({ description: 'How many would be removed.' }),
    replacements: Type.Integer({ description: 'How many would take the place of another thing.' }),
    items: Type.Array(
      Type.Object(
        {
          device_id: text('The device.'),
          kind,
          id: text('The id of the profile or app.'),
          change: Type.Enum(['install', 'remove', 'replace'], { description: 'What would be done.' }),
          because,
        },
        { title: 'PredictedChange', description: 'What would change for a device.' },
      ),
      { description: 'The first 100 changes.' },
    ),
  },
  { title: 'PredictedChanges', description: 'What writing these contents would change.' },
)

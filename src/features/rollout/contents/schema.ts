import { Type } from 'typebox'
import { text } from '../../../kernel/schema.ts'

/** Entries that one group may have. */
const MOST_ITEMS = 1_000
const MOST_PRECEDENCE = 1_000_000

const thingItem = Type.Object(
  {
    kind: Type.Enum(['profile', 'app'], { description: 'What it is.' }),
    id: Type.String({ minLength: 1, maxLength: 64, description: 'The id of the profile or app.' }),
    critical: Type.Optional(
      Type.Boolean({
        description: 'A phone that waits in Setup Assistant is let go when it has come. By default false.',
      }),
    ),
    precedence: Type.Optional(
      Type.Integer({
        minimum: -MOST_PRECEDENCE,
        maximum: MOST_PRECEDENCE,
        description:
          'Of two things with one identifier the one with the greater precedence wins. By default 0.',
      }),
    ),
    exclude: Type.Optional(
      Type.Boolean({
        description: 'Keeps it from the members, whatever other groups say. By default false.',
      }),
    ),
  },
  {
    additionalProperties: false,
    title: 'ContentsThing',
    description: 'A profile or app that the group delivers.',
  },
)

const commandItem = Type.Object(
  {
    kind: Type.Enum(['command'], { description: 'A command.' }),
    request_type: Type.String({ minLength: 1, maxLength: 128, description: 'Apple’s name of the command.' }),
    command: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description: 'Its keys, as `POST /commands` takes them.',
      }),
    ),
  },
  {
    additionalProperties: false,
    title: 'ContentsCommand',
    description: 'A command that each device gets once when it joins.',
  },
)

const items = Type.Array(Type.Union([thingItem, commandItem], { description: 'An entry.' }), {
  maxItems: MOST_ITEMS,
  description: 'In the order in which they are delivered.',
})

/** What a group is to deliver. */
export const newContentsSchema = Type.Object(
  { items },
  { additionalProperties: false, title: 'NewGroupContents', description: 'What a group is to deliver.' },
)

/** What a group delivers. */
export const contentsSchema = Type.Object(
  { items },
  { title: 'GroupContents', description: 'What a group delivers.' },
)

/** The same, right after it was written. */
export const writtenContentsSchema = Type.Object(
  {
    items,
    change_id: text('How far it has come with the devices: `/changes/{id}`.'),
    warnings: Type.Array(Type.String(), { description: 'What may not do what is meant.' }),
  },
  { title: 'GroupContentsWritten', description: 'What a group delivers from now on.' },
)

import { Type } from 'typebox'
import { orNull, text, textOrNull } from '../../../kernel/schema.ts'
import { flag, info, number, texts, warn, type Kinds } from './kind.ts'

const app = {
  identifier: text('Its bundle identifier.'),
  name: textOrNull('What it is called.'),
}
const version = (what: string) => textOrNull(`${what}; null where it did not say.`)
const some = (what: string) => `${what}; the first 100 of them.`

/** Something that a group delivers, which is not on a device any more. */
const drifted = Type.Object(
  {
    kind: Type.Enum(['profile', 'app'], { description: 'What it is.' }),
    id: text('The id of the profile or app.'),
    identifier: textOrNull('What tells it from others on the device.'),
    revision: orNull(Type.Integer(), 'The revision.'),
    cause: text('Why it was delivered.'),
    change_id: textOrNull('The change that it is part of.'),
  },
  { additionalProperties: false, description: 'Of what a group delivers.' },
)
/** A device that keeps another name than the one that its policy gives it. */
const otherName = Type.Object(
  {
    kind: Type.Enum(['device_name'], { description: 'What it is.' }),
    wanted: text('The name that the policy gives it.'),
    shown: textOrNull('The name that it shows.'),
  },
  { additionalProperties: false, description: 'Of the name of a device.' },
)

/** What devices told of themselves. */
export const INVENTORY = {
  'device.app_changed': info('The apps of a device have changed', {
    added: Type.Array(Type.Object({ ...app, version: version('Its version') }), {
      description: some('Apps that have come'),
    }),
    removed: Type.Array(Type.Object({ ...app, version: version('Its version') }), {
      description: some('Apps that have gone'),
    }),
    updated: Type.Array(
      Type.Object({ ...app, from: version('The version before'), to: version('The version now') }),
      { description: some('Apps that have another version') },
    ),
    added_count: number('How many have come.'),
    removed_count: number('How many have gone.'),
    updated_count: number('How many have another version.'),
  }),
  'device.facts_changed': info('A device has told something new of itself', {
    changed: texts('The names of the facts.'),
  }),
  'delivery.drifted': {
    level: 'warn',
    sentence:
      'A device does not have what it is to have: something was taken from it, or its name is another',
    data: Type.Union([drifted, otherName]),
  },
  'device.name_changed': info('A device has another name', {
    from: text('The name before.'),
    to: text('The name now.'),
  }),
  'device.name_refused': warn('A device cannot be called as its policy says', {
    wanted: text('The name, or the template where a variable of it has no value.'),
    missing: Type.Optional(texts('The variables that have no value.')),
  }),
  'device.os_updated': info('A device has another version of its system', {
    from: text('The version before.'),
    to: text('The version now.'),
  }),
  'inventory.received': info('Inventory of a device was taken in', {
    kind: text('Its kind, such as `profiles`.'),
    whole: flag('Whether it tells of all that there is, so that what is not in it is not there.'),
  }),
} as const satisfies Kinds

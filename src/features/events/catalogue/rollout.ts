import { text } from '../../../kernel/schema.ts'
import { changed, flag, info, number, type Kinds } from './kind.ts'

const profile = {
  profile_id: text('The configuration profile.'),
  name: text('Its name.'),
  identifier: text('Its PayloadIdentifier.'),
}
const profileRevision = {
  ...profile,
  revision: number('The revision that this is about.'),
  released: flag('Whether everybody gets it.'),
}
const secret = { name: text('The name of the secret.') }

/** What groups deliver, and what of it reaches devices. */
export const ROLLOUT = {
  'profile.created': info('A configuration profile was uploaded', profileRevision),
  'profile.deleted': info('A configuration profile was deleted', profile),
  'profile.updated': info('A configuration profile was changed', { ...profileRevision, changed }),
  'secret.deleted': info('A secret was deleted', secret),
  'secret.set': info('A secret was set', {
    ...secret,
    created: flag('Whether there was none of this name before.'),
  }),
} as const satisfies Kinds

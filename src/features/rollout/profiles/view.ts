import { type Static, Type } from 'typebox'
import { dates, datesOf, orNull, text, textOrNull, time } from '../../../kernel/schema.ts'
import type { ProfileView } from './reading.ts'
import type { Revision } from './store.ts'

const signerSchema = Type.Object(
  {
    subject: text('The name in the certificate of the signer.'),
    issuer: text('Who issued it.'),
    serial_number: text('Its serial number, in hexadecimal.'),
    not_after: time('When it expires.'),
    is_trusted: Type.Boolean({ description: 'Whether its chain ends at a public root and is valid.' }),
    problem: textOrNull('Why not.'),
  },
  {
    title: 'ProfileSigner',
    description: 'Who signed what was uploaded. Devices get it signed by this server.',
  },
)

const content = {
  display_name: textOrNull('Its PayloadDisplayName.'),
  payload_types: Type.Array(Type.String(), { description: 'The types of its payloads, each once.' }),
  variables: Type.Array(Type.String(), {
    description: 'The variables in it, such as `device.serial_number`, each once.',
  }),
  size: Type.Integer({ description: 'Bytes that were uploaded.' }),
  signed_by: orNull(signerSchema, 'Who signed what was uploaded; null = nobody.'),
  warnings: Type.Array(
    Type.Object({
      path: text('Where: keys and numbers of items, separated by dots; empty = the profile as a whole.'),
      message: text('What devices may take amiss.'),
    }),
    { description: "What may be wrong with it, measured by Apple's schema." },
  ),
}

/** A configuration profile as the API tells it. */
export const profileSchema = Type.Object(
  {
    id: text('The id of the profile.'),
    name: text('What administrators call it.'),
    identifier: text('Its PayloadIdentifier, by which devices replace it; it never changes.'),
    scope: Type.Enum(['system', 'user'], {
      description: 'For the device, or for the user channel of a Mac.',
    }),
    revision: Type.Integer({ description: 'The newest revision, of which the rest is told.' }),
    released_revision: orNull(Type.Integer(), 'The revision that everybody gets; null = none yet.'),
    ...content,
    group_ids: Type.Array(Type.String(), { description: 'The groups that deliver it.' }),
    ...dates,
  },
  { title: 'Profile', description: 'A configuration profile.' },
)

/** One of its revisions. */
export const revisionSchema = Type.Object(
  {
    revision: Type.Integer({ description: 'Its number.' }),
    released: Type.Boolean({ description: 'Whether everybody gets it.' }),
    ...content,
    created_at: time('When it was uploaded.'),
  },
  { title: 'ProfileRevision', description: 'What was uploaded at one time.' },
)

export function showProfile(profile: ProfileView): Static<typeof profileSchema> {
  const { id, name, identifier, scope, revision, released_revision, newest, group_ids } = profile
  return {
    ...{ id, name, identifier, scope, revision, released_revision },
    ...contentOf(newest),
    group_ids,
    ...datesOf(profile),
  }
}

export function showRevision(row: Revision & { released: boolean }): Static<typeof revisionSchema> {
  const { revision, released, created_at } = row
  return { revision, released, ...contentOf(row), created_at: created_at.toISOString() }
}

function contentOf({ facts, size, signer, warnings }: Revision) {
  const { display_name, payload_types, variables } = facts
  return { display_name, payload_types, variables, size, signed_by: signer, warnings: [...warnings] }
}

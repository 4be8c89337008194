import { type Static, Type } from 'typebox'
import { LINE_PATTERN, NAME_PATTERN } from '../../kernel/names.ts'
import { dates, orNull, text as plain, TEXT_PATTERN, textOrNull } from '../../kernel/schema.ts'

const kind = Type.Enum(['local', 'ws_trust', 'oidc'], {
  description: 'local accounts, a directory by WS-Trust 1.3, or an OpenID provider.',
})
const name = Type.String({
  minLength: 1,
  maxLength: 255,
  pattern: NAME_PATTERN,
  description: 'What people see of it.',
})
const text = (maxLength: number, description: string) =>
  Type.String({ minLength: 1, maxLength, pattern: LINE_PATTERN, description })

const url = text(
  2048,
  'ws_trust: the UsernameMixed endpoint of WS-Trust 1.3, or a MEX document that names it.',
)
const appliesTo = text(
  1024,
  'ws_trust: an identifier of the relying party; default urn:federation:MicrosoftOnline.',
)
const issuer = text(2048, 'oidc: the issuer, as in its discovery document.')
const clientId = text(1024, 'oidc: the client id.')
const clientSecret = text(4096, 'oidc: the client secret. Never told again.')
const scope = Type.String({ minLength: 1, maxLength: 255, pattern: String.raw`^[\x21\x23-\x5b\x5d-\x7e]+$` })
const scopes = Type.Union(
  [Type.Array(scope, { minItems: 1, maxItems: 50 }), text(2048, 'Separated by spaces.')],
  { description: 'oidc: what is asked for, as a list or separated by spaces.' },
)
const claim = text(
  255,
  'oidc: the claim that names the user; null = preferred_username, else a verified email.',
)
const caPem = Type.String({
  minLength: 1,
  maxLength: 65_536,
  pattern: TEXT_PATTERN,
  description: 'CAs to trust besides the system’s, in PEM.',
})
const createUsers = Type.Boolean({
  description: 'Whether someone whom the source vouches for becomes a user; default true.',
})

const linksExisting = Type.Boolean({
  description:
    'Whether a first sign-in may also become the user of that name who has a password or another link; default false.',
})

/** A sign-in source as the API tells it: the fields of its kind. */
export const sourceSchema = Type.Object(
  {
    id: plain('The id of the source.'),
    kind,
    name: plain('What people see of it.'),
    url: Type.Optional(url),
    applies_to: Type.Optional(appliesTo),
    issuer: Type.Optional(issuer),
    client_id: Type.Optional(clientId),
    scopes: Type.Optional(Type.Array(Type.String(), { description: 'oidc: what is asked for.' })),
    user_name_claim: Type.Optional(orNull(claim)),
    ca_pem: Type.Optional(orNull(caPem)),
    create_users: Type.Optional(createUsers),
    links_existing_users: Type.Optional(linksExisting),
    ...dates,
  },
  { title: 'SignInSource', description: 'Where people prove who they are.' },
)

const optional = {
  applies_to: Type.Optional(orNull(appliesTo)),
  scopes: Type.Optional(orNull(scopes)),
  user_name_claim: Type.Optional(orNull(claim)),
  ca_pem: Type.Optional(orNull(caPem)),
  create_users: Type.Optional(orNull(createUsers)),
  links_existing_users: Type.Optional(orNull(linksExisting)),
  url: Type.Optional(url),
  issuer: Type.Optional(issuer),
  client_id: Type.Optional(clientId),
  client_secret: Type.Optional(clientSecret),
}

/** What makes a source; which fields it needs depends on its kind. */
export const newSourceSchema = Type.Object(
  { kind, name, ...optional },
  { title: 'NewSignInSource', description: 'What makes a sign-in source.' },
)

/** A merge patch of a source (RFC 7396). The kind stays. */
export const sourcePatchSchema = Type.Object(
  { name: Type.Optional(name), ...optional },
  { title: 'SignInSourcePatch', description: 'What is to change; null gives the default.' },
)

/** What can be said of a source; null takes the default back. */
export type SourceFields = Static<typeof sourcePatchSchema>

/** Whose sign-in to try. */
export const trialSchema = Type.Object(
  {
    user_name: Type.String({
      minLength: 1,
      maxLength: 255,
      pattern: LINE_PATTERN,
      description: 'Who signs in.',
    }),
    password: Type.String({
      minLength: 1,
      maxLength: 1024,
      pattern: TEXT_PATTERN,
      description: 'Neither kept nor told.',
    }),
  },
  { title: 'SignInTrial', description: 'Whose sign-in to try.' },
)

/** What came of it. */
export const trialResultSchema = Type.Object(
  {
    ok: Type.Boolean({ description: 'Whether the person would be let in.' }),
    reason: textOrNull('The reason code of a refusal.'),
    message: plain('What happened, in plain words.'),
  },
  { title: 'SignInTrialResult', description: 'What came of it.' },
)

import { Type } from 'typebox'

const nullable = <T extends Parameters<typeof Type.Optional>[0]>(schema: T) =>
  Type.Union([schema, Type.Null()])
const time = Type.String({ format: 'date-time' })

const kind = Type.Enum(['local', 'ws_trust', 'oidc'])
const name = Type.String({
  minLength: 1,
  maxLength: 255,
  pattern: String.raw`^(?!\s)[^\x00-\x1f\x7f]+(?<!\s)$`,
})
const text = (maxLength: number, description: string) =>
  Type.String({ minLength: 1, maxLength, pattern: String.raw`^[^\x00-\x1f\x7f]+$`, description })

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
const scopes = Type.Union([
  Type.Array(scope, { minItems: 1, maxItems: 50 }),
  text(2048, 'Separated by spaces.'),
])
const claim = text(
  255,
  'oidc: the claim that names the user; null = preferred_username, else a verified email.',
)
const caPem = Type.String({
  minLength: 1,
  maxLength: 65_536,
  description: 'CAs to trust besides the system’s, in PEM.',
})
const createUsers = Type.Boolean({
  description: 'Whether someone whom the source vouches for becomes a user; default true.',
})

/** A sign-in source as the API tells it: the fields of its kind. */
export const sourceSchema = Type.Object({
  id: Type.String(),
  kind,
  name: Type.String(),
  url: Type.Optional(Type.String()),
  applies_to: Type.Optional(Type.String()),
  issuer: Type.Optional(Type.String()),
  client_id: Type.Optional(Type.String()),
  scopes: Type.Optional(Type.Array(Type.String())),
  user_name_claim: Type.Optional(nullable(Type.String())),
  ca_pem: Type.Optional(nullable(Type.String())),
  create_users: Type.Optional(Type.Boolean()),
  created_at: time,
  updated_at: time,
})

const optional = {
  applies_to: Type.Optional(nullable(appliesTo)),
  scopes: Type.Optional(nullable(scopes)),
  user_name_claim: Type.Optional(nullable(claim)),
  ca_pem: Type.Optional(nullable(caPem)),
  create_users: Type.Optional(nullable(createUsers)),
  url: Type.Optional(url),
  issuer: Type.Optional(issuer),
  client_id: Type.Optional(clientId),
  client_secret: Type.Optional(clientSecret),
}

/** What makes a source; which fields it needs depends on its kind. */
export const newSourceSchema = Type.Object({ kind, name, ...optional })

/** A merge patch of a source (RFC 7396). The kind stays. */
export const sourcePatchSchema = Type.Object({ name: Type.Optional(name), ...optional })

/** Whose sign-in to try. */
export const trialSchema = Type.Object({
  user_name: Type.String({ minLength: 1, maxLength: 255 }),
  password: Type.String({ minLength: 1, maxLength: 1024, description: 'Neither kept nor told.' }),
})

/** What came of it. */
export const trialResultSchema = Type.Object({
  ok: Type.Boolean(),
  reason: nullable(Type.String({ description: 'The reason code of a refusal.' })),
  message: Type.String({ description: 'What happened, in plain words.' }),
})

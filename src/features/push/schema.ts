import { Type } from 'typebox'
import { appleIdParam, dates, datesOf, text, textOrNull, time } from '../../kernel/schema.ts'
import type { PushCertificate } from './store.ts'

/** As what certificates in PEM are sent. */
export const PEM_TYPES = ['application/x-pem-file', 'text/plain', 'application/octet-stream']
export const MAX_CERTIFICATE_BYTES = 1024 * 1024

/** How a certificate is to be stored. */
export const storeQuery = Type.Object({
  apple_id: appleIdParam,
  force: Type.Boolean({
    default: false,
    description: 'Take it in use although it has another topic than the one in use.',
  }),
})

export const certificateSchema = Type.Object(
  {
    id: text('The topic.'),
    topic: text('The UID in the subject of the certificate; devices keep it for good.'),
    not_after: time('When it ends.'),
    apple_id: textOrNull('The Apple ID with which it is renewed.'),
    in_use: Type.Boolean({ description: 'Whether new enrollments get this topic.' }),
    rejected_reason: textOrNull(
      "Why Apple refuses it: nothing is sent until it is replaced. Apple's own word, null when all is well.",
    ),
    ...dates,
  },
  { title: 'PushCertificate', description: 'A certificate with which devices are woken.' },
)

export const storedSchema = Type.Intersect(
  [
    certificateSchema,
    Type.Object({ warnings: Type.Array(Type.String(), { description: 'What is worth knowing of it.' }) }),
  ],
  { title: 'StoredPushCertificate', description: 'The certificate as it was stored.' },
)

/** The bodies in PEM that a route takes. */
export function pemContent(description: string) {
  const schema = Type.Unknown({ description })
  return Object.fromEntries(PEM_TYPES.map((type) => [type, { schema }]))
}

/** A push certificate as the API tells it. */
export function render(row: PushCertificate) {
  return {
    id: row.topic,
    topic: row.topic,
    not_after: row.not_after.toISOString(),
    apple_id: row.apple_id,
    in_use: row.in_use,
    rejected_reason: row.rejected_reason,
    ...datesOf(row),
  }
}

import { createHmac, randomBytes } from 'node:crypto'
import { AppError } from '../../../kernel/errors.ts'

const PREFIX = 'whsec_'
const MADE_BYTES = 32
/** What the specification asks of a symmetric secret. */
const LEAST_BYTES = 24
const MOST_BYTES = 64

/** A new secret, in the form of the Standard Webhooks specification. */
export function newWebhookSecret(): string {
  return PREFIX + randomBytes(MADE_BYTES).toString('base64')
}

/** Throws AppError `invalid_request` unless it is a secret of that form: `whsec_` and 24 to 64 bytes in base64. */
export function checkWebhookSecret(secret: string): void {
  const encoded = secret.slice(PREFIX.length)
  const bytes = Buffer.from(encoded, 'base64')
  const isSecret =
    secret.startsWith(PREFIX) &&
    bytes.toString('base64') === encoded &&
    bytes.length >= LEAST_BYTES &&
    bytes.length <= MOST_BYTES
  if (isSecret) return
  const message = `must be ${PREFIX} and ${LEAST_BYTES} to ${MOST_BYTES} bytes in base64`
  throw new AppError('invalid_request', `The secret ${message}.`, { fields: [{ path: 'secret', message }] })
}

/** The headers that sign a message with each of the secrets (Standard Webhooks, "Signature scheme"). */
export function signatureHeaders(
  message: { id: string; body: string },
  secrets: readonly string[],
  at: Date,
): Record<string, string> {
  const timestamp = String(Math.floor(at.getTime() / 1000))
  const signed = `${message.id}.${timestamp}.${message.body}`
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.slice(PREFIX.length), 'base64')
    return `v1,${createHmac('sha256', key).update(signed).digest('base64')}`
  })
  return {
    'webhook-id': message.id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  }
}

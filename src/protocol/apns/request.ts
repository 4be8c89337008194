import { AppError } from '../../kernel/errors.ts'

/** Apple's limit for the body of a notification. */
export const MAX_PAYLOAD_BYTES = 4096

/** One MDM push: whom to wake, with what only that device knows. */
export interface ApnsPush {
  /** The `Token` of the channel's TokenUpdate, as bytes. */
  token: Uint8Array
  /** The `PushMagic` of the channel's TokenUpdate. */
  pushMagic: string
  /** The topic of the push certificate, the same as in the profile of the device. */
  topic: string
  /** Until when Apple keeps the push for a device that is off. */
  expiresAt: Date
}

/** A push as HTTP/2 header fields and body. */
export interface ApnsRequest {
  headers: Record<string, string>
  body: Buffer
}

/**
 * The request of a push (Apple: "Sending notification requests to APNs"; the body: "Setting up push notifications for
 * your MDM customers"). The device gets nothing but its magic: it comes and asks. Throws AppError `internal` for push
 * data that no device can have sent; neither the token nor the magic is in the message.
 */
export function buildApnsRequest(push: ApnsPush): ApnsRequest {
  const body = Buffer.from(JSON.stringify({ mdm: push.pushMagic }))
  if (push.token.length === 0) throw new AppError('internal', 'The push token is empty.')
  if (body.length > MAX_PAYLOAD_BYTES) throw new AppError('internal', 'The push magic is too long.')
  return {
    headers: {
      ':method': 'POST',
      ':path': `/3/device/${Buffer.from(push.token).toString('hex')}`,
      'apns-topic': push.topic,
      'apns-push-type': 'mdm',
      'apns-priority': '10',
      'apns-expiration': String(Math.floor(push.expiresAt.getTime() / 1000)),
      'content-type': 'application/json',
    },
    body,
  }
}

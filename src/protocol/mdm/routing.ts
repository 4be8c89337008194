import { AppError } from '../../kernel/errors.ts'
import { openMessage } from './open-message.ts'

/** Largest body that is looked into. */
const LARGEST = 256 * 1024

/** Whether a Content-Type (parameters may follow) says check-in; everything else is a command message. */
export function looksLikeCheckin(contentType: string | undefined): boolean {
  return contentType?.trimStart().toLowerCase().startsWith('application/x-apple-aspen-mdm-checkin') ?? false
}

/**
 * Whether a body of at most 256 KB is a check-in, told by its MessageType: for clients that send no usable
 * Content-Type. False for what cannot be read.
 */
export function isCheckinBody(body: Uint8Array): boolean {
  if (body.length > LARGEST) return false
  try {
    return typeof openMessage(body).raw['MessageType'] === 'string'
  } catch (error) {
    if (error instanceof AppError) return false
    throw error
  }
}

import type { SecretBox } from '../../kernel/secret-box.ts'

/** A check-in message as it is kept: sealed, because it holds push and unlock tokens. */
export function sealMessage(box: SecretBox, enrollmentId: string, raw: Uint8Array): Buffer {
  return box.seal(raw, messageContext(enrollmentId))
}

/** A token of a device (UnlockToken, BootstrapToken) as it is kept. */
export function sealToken(
  box: SecretBox,
  enrollmentId: string,
  kind: 'unlock' | 'bootstrap',
  token: Uint8Array,
): Buffer {
  return box.seal(token, tokenContext(enrollmentId, kind))
}

/** The reverse of `sealToken`. */
export function openToken(
  box: SecretBox,
  enrollmentId: string,
  kind: 'unlock' | 'bootstrap',
  sealed: Buffer,
): Buffer {
  return box.open(sealed, tokenContext(enrollmentId, kind))
}

/** What a message of an enrollment is sealed for. */
export function messageContext(enrollmentId: string): string {
  return `checkin_messages.raw:${enrollmentId}`
}

/** What a token of an enrollment is sealed for. */
export function tokenContext(enrollmentId: string, kind: 'unlock' | 'bootstrap'): string {
  return `enrollments.${kind}_token:${enrollmentId}`
}

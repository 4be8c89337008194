import { SEALED_FOR } from '../../db/sealed-columns.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'

/** A check-in message as it is kept: sealed, because it holds push and unlock tokens. */
export function sealMessage(box: SecretBox, enrollmentId: string, raw: Uint8Array): Buffer {
  return box.seal(raw, SEALED_FOR.checkinMessage(enrollmentId))
}

/** A token of a device (UnlockToken, BootstrapToken) as it is kept. */
export function sealToken(
  box: SecretBox,
  enrollmentId: string,
  kind: 'unlock' | 'bootstrap',
  token: Uint8Array,
): Buffer {
  return box.seal(token, contextOf(enrollmentId, kind))
}

/** The reverse of `sealToken`. */
export function openToken(
  box: SecretBox,
  enrollmentId: string,
  kind: 'unlock' | 'bootstrap',
  sealed: Buffer,
): Buffer {
  return box.open(sealed, contextOf(enrollmentId, kind))
}

function contextOf(enrollmentId: string, kind: 'unlock' | 'bootstrap'): string {
  return kind === 'unlock' ? SEALED_FOR.unlockToken(enrollmentId) : SEALED_FOR.bootstrapToken(enrollmentId)
}

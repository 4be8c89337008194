import { SEALED_FOR } from '../../db/sealed-columns.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'

/** How everything begins that the secret box seals, and no property list does. */
const SEALED = 0x01

/** The plist of a command as it is kept: sealed, because it may hold a PIN, a token or a key. */
export function sealBody(box: SecretBox, uuid: string, body: Uint8Array): Buffer {
  return box.seal(body, SEALED_FOR.commandBody(uuid))
}

/** The reverse of `sealBody`; one that holds no secret, or is not sealed yet, is given as it is. */
export function openBody(box: SecretBox, uuid: string, kept: Buffer): Buffer {
  return kept[0] === SEALED ? box.open(kept, SEALED_FOR.commandBody(uuid)) : kept
}

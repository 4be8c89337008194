import { SEALED_FOR } from '../../db/sealed-columns.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'

/** How everything begins that the secret box seals, and no property list does. */
const SEALED = 0x01

/** Bodies that went out last and are remembered, and how large each may be. */
const MOST_RECENT = 256
const LARGEST_RECENT = 4 * 1024

/** The plist of a command as it is kept: sealed, because it may hold a PIN, a token or a key. */
export function sealBody(box: SecretBox, uuid: string, body: Uint8Array): Buffer {
  return box.seal(body, SEALED_FOR.commandBody(uuid))
}

/** The reverse of `sealBody`; one that holds no secret, or is not sealed yet, is given as it is. */
export function openBody(box: SecretBox, uuid: string, kept: Buffer): Buffer {
  return kept[0] === SEALED ? box.open(kept, SEALED_FOR.commandBody(uuid)) : kept
}

/** Opens bodies as they go out. One command goes to many devices in the same moments, so the last ones are remembered. */
export function createBodyOpener(box: SecretBox): (uuid: string, kept: Buffer) => Buffer {
  const recent = new Map<string, { kept: Buffer; body: Buffer }>()
  return (uuid, kept) => {
    const known = recent.get(uuid)
    if (known?.kept.equals(kept) === true) return known.body
    const body = openBody(box, uuid, kept)
    if (kept.length > LARGEST_RECENT || body === kept) return body
    recent.set(uuid, { kept, body })
    const [oldest] = recent.keys()
    if (recent.size > MOST_RECENT && oldest !== undefined) recent.delete(oldest)
    return body
  }
}

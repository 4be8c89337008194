import { createHash, createVerify } from 'node:crypto'
import { AppError } from '../../kernel/errors.ts'
import { TAG } from '../asn1/index.ts'
import { keyFor, type Certificate } from '../x509/index.ts'
import { readSignedData } from './signed-data.ts'
import { createCertificateCache, findSigner, onlySigner, verifyAttributes } from './verify.ts'

/** A signature over content that is elsewhere. Nothing is said of whether the signer is trusted. */
interface DetachedSignature {
  readonly signer: Certificate
  /** Begins to compare it with content; once. */
  content(): ContentCheck
}

/** Takes the signed content as it arrives. */
export interface ContentCheck {
  update(piece: Uint8Array): void
  /** Refuses `cms_invalid` unless the pieces, in their order, are what was signed. */
  end(): void
}

/**
 * Makes a reader of detached signatures (RFC 5652, section 5.6), in BER or DER, with one signer. Where there are signed
 * attributes their signature is verified at once, before there is any content; its digest is then compared with theirs. A
 * signature without them, as Macs make it, is over the content itself. Refuses `cms_invalid` with the reason. Remembers the
 * certificates of the last `cacheSize` signers, by the digest of their DER.
 */
export function createDetachedReader(options: {
  cacheSize: number
}): (message: Uint8Array) => DetachedSignature {
  const load = createCertificateCache(options.cacheSize)
  return (message) => {
    const parts = readSignedData(message, 'ber')
    const info = onlySigner(parts)
    if (parts.content !== undefined) throw refusal('a detached signature that holds content of its own')
    const signer = findSigner(parts.certificates, info.signer, load)
    if (info.signedAttributes !== undefined) {
      const { digest } = verifyAttributes(info, signer, parts.contentType)
      return { signer, content: () => compareDigest(createHash(info.hash), digest) }
    }
    const key = keyFor(info.scheme, signer.publicKey())
    if (key === undefined) throw refusal('the signature is wrong')
    return {
      signer,
      content: () => verifyContent(createVerify(info.hash), (check) => check.verify(key, info.signature)),
    }
  }
}

function compareDigest(hash: ReturnType<typeof createHash>, digest: Buffer): ContentCheck {
  return {
    update: (piece) => void hash.update(piece),
    end: () => {
      if (!hash.digest().equals(digest)) throw refusal('the message digest is that of other content')
    },
  }
}

/**
 * Content that looks like encoded attributes is refused: it may be those of another message, whose signature would then be
 * right (the attack by stripping them).
 */
function verifyContent(
  check: ReturnType<typeof createVerify>,
  isRight: (check: ReturnType<typeof createVerify>) => boolean,
): ContentCheck {
  let first: number | undefined
  return {
    update: (piece) => {
      first ??= piece[0]
      check.update(piece)
    },
    end: () => {
      if (first === TAG.set) throw refusal('the content looks like signed attributes')
      if (!isRight(check)) throw refusal('the signature is wrong')
    },
  }
}

function refusal(reason: string): AppError {
  return new AppError('cms_invalid', reason)
}

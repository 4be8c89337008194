import { hash } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { sha256 } from '../../kernel/ids.ts'
import { createSignatureVerifier } from '../../protocol/cms/index.ts'
import { parseCertificate, verifyChain, type Certificate, type HashName } from '../../protocol/x509/index.ts'
import type { Authority } from './authority.ts'
import type { CertificateProblem, Identified, SignatureResult } from './types.ts'

/** Signers whose certificate and key are kept ready, about 15 kB each; reading one anew takes some 0.08 ms. */
const READY_SIGNERS = 1_000
/** Certificates that are known to be of one of our CAs, about 0.3 kB each. */
const REMEMBERED = 50_000
/** A header longer than this holds no signature of one device. */
const MAX_HEADER_LENGTH = 32 * 1024

/** What a certificate is worth whatever the time: whether one of our CAs issued it. Dates are looked at each time. */
interface Known {
  readonly notBefore: number
  readonly notAfter: number
}

/** An indefinite length in BER. */
const INDEFINITE = 0x80

/** Digests of a body by algorithm, computed when it arrived. */
type BodyDigests = Partial<Record<HashName, Uint8Array>>

/** Who signed and whether the certificate is one of our CAs'. */
export function createVerification(deps: { clock: Clock; authority: Authority }) {
  const { clock, authority } = deps
  const verify = createSignatureVerifier({ cacheSize: READY_SIGNERS })
  /** Certificates that one of our CAs issued, by fingerprint; a CA is never taken back, so an entry stays true. */
  const ours = new Map<string, Known>()

  function remembered(certificate: Certificate): Known | undefined {
    const known = ours.get(certificate.fingerprint)
    if (known === undefined) return undefined
    ours.delete(certificate.fingerprint)
    ours.set(certificate.fingerprint, known)
    return known
  }

  async function isIssuedByUs(certificate: Certificate): Promise<boolean> {
    const trusted = authority.trusted().map((ca) => ca.certificate)
    return hasKey(certificate) && (await verifyChain(certificate, { trusted, at: null })).ok
  }

  async function look(certificate: Certificate): Promise<Known | undefined> {
    const before = remembered(certificate)
    if (before !== undefined) return before
    if (!(await isIssuedByUs(certificate))) {
      // Another process may have made or imported the CA.
      await authority.refresh()
      if (!(await isIssuedByUs(certificate))) return undefined
    }
    const known = {
      notBefore: certificate.notBefore.getTime(),
      notAfter: certificate.notAfter.getTime(),
    }
    ours.set(certificate.fingerprint, known)
    if (ours.size > REMEMBERED) ours.delete(ours.keys().next().value ?? '')
    return known
  }

  /** Whose certificate it is and what is wrong with it at `now`. What is no certificate is foreign. */
  async function identify(input: Buffer | Certificate, now: Date): Promise<Identified> {
    const certificate = Buffer.isBuffer(input) ? read(input) : input
    if (certificate === undefined) return { fingerprint: sha256(input as Buffer), problem: 'foreign' }
    const known = await look(certificate)
    const fingerprint = Buffer.from(certificate.fingerprint, 'hex')
    if (known === undefined) return { fingerprint, problem: 'foreign' }
    const problem = problemAt(known, now.getTime())
    return problem === undefined ? { fingerprint } : { fingerprint, problem }
  }

  /**
   * Checks an Mdm-Signature header (base64 of a detached CMS signature over the raw body) and its signer. `digests` are
   * those of the body that are known already. Never throws for bad input.
   */
  async function verifySignature(
    header: string,
    body: Buffer,
    digests: BodyDigests = {},
  ): Promise<SignatureResult> {
    const message = decodeBase64(header.trim())
    if (message === undefined) return { problem: 'malformed', message: 'the header is not base64' }
    let signer: Certificate
    try {
      // Apple's devices write the outermost length as indefinite, others write DER, which is quicker to read.
      const encoding = message[1] === INDEFINITE ? 'ber' : 'der'
      signer = verify(message, { encoding, detached: { digests: completed(digests, body) } }).signer
    } catch (error) {
      if (error instanceof AppError && error.code === 'cms_invalid') {
        return { problem: 'bad_signature', message: error.message }
      }
      throw error
    }
    const { fingerprint, problem } = await identify(signer, clock.now())
    return problem === undefined ? { fingerprint } : { problem, message: MESSAGES[problem] }
  }

  return { identify, verifySignature }
}

const MESSAGES: Record<CertificateProblem, string> = {
  foreign: 'the certificate was not issued by the device CA',
  expired: 'the certificate has expired',
  not_yet_valid: 'the certificate is not valid yet',
}

/**
 * The bytes of standard base64 and of nothing else. What the decoder skips makes the bytes too few; only the letters of the
 * URL-safe alphabet, which it takes too, must be looked for.
 */
function decodeBase64(text: string): Buffer | undefined {
  const { length } = text
  if (length === 0 || length > MAX_HEADER_LENGTH || length % 4 !== 0) return undefined
  if (text.includes('-') || text.includes('_')) return undefined
  const bytes = Buffer.from(text, 'base64')
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  return bytes.length === (length / 4) * 3 - padding ? bytes : undefined
}

/** The digests that are known, and the others when they are asked for. */
function completed(known: BodyDigests, body: Buffer): BodyDigests {
  const digest = (name: HashName) => known[name] ?? hash(name, body, 'buffer')
  return {
    get sha1() {
      return digest('sha1')
    },
    get sha256() {
      return digest('sha256')
    },
    get sha384() {
      return digest('sha384')
    },
    get sha512() {
      return digest('sha512')
    },
  }
}

function read(der: Buffer): Certificate | undefined {
  try {
    return parseCertificate(der)
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}

/** Whether the key is one that signatures are checked with; a certificate in a header or handshake shows none of them. */
function hasKey(certificate: Certificate): boolean {
  try {
    return certificate.publicKey().type === 'public'
  } catch (error) {
    if (error instanceof AppError) return false
    throw error
  }
}

function problemAt(known: Known, now: number): CertificateProblem | undefined {
  if (now < known.notBefore) return 'not_yet_valid'
  return now > known.notAfter ? 'expired' : undefined
}

import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { sha256 } from '../../kernel/ids.ts'
import { createDetachedReader, type ContentCheck } from '../../protocol/cms/index.ts'
import { parseCertificate, verifyChain, type Certificate } from '../../protocol/x509/index.ts'
import type { Authority } from './authority.ts'
import type { CertificateProblem, Credentials, Identified, Proof, SignatureResult } from './types.ts'

/** Signers whose certificate and key are kept ready, about 15 kB each; reading one anew takes some 0.08 ms. */
const READY_DEVICE_SIGNERS = 1_000
/** Certificates that are known to be of one of our CAs, about 0.3 kB each. */
const REMEMBERED_CERTIFICATES = 50_000
/** A header longer than this holds no signature of one device. */
const MAX_HEADER_LENGTH = 32 * 1024

/** What a certificate is worth whatever the time: whether one of our CAs issued it. Dates are looked at each time. */
interface Known {
  readonly notBefore: number
  readonly notAfter: number
}

/** What was signed, and by whom, before the body is looked at. */
type OpenedSignature =
  { signer: Certificate; body: ContentCheck } | Extract<SignatureResult, { problem: string }>

/** Finds who signed, and whether the certificate is one of our CAs'. */
export function createVerification(deps: { clock: Clock; authority: Authority }) {
  const { clock, authority } = deps
  const read = createDetachedReader({ cacheSize: READY_DEVICE_SIGNERS })
  const look = createLookUp(authority)

  /** Whose certificate it is and what is wrong with it at `now`. What is no certificate is foreign. */
  async function identify(input: Buffer | Certificate, now: Date): Promise<Identified> {
    const certificate = Buffer.isBuffer(input) ? certificateIn(input) : input
    if (certificate === undefined) return { fingerprint: sha256(input as Buffer), problem: 'foreign' }
    const known = await look(certificate)
    const fingerprint = Buffer.from(certificate.fingerprint, 'hex')
    if (known === undefined) return { fingerprint, problem: 'foreign' }
    const problem = problemAt(known, now.getTime())
    return problem === undefined ? { fingerprint } : { fingerprint, problem }
  }

  /** Reads an Mdm-Signature header: base64 of a detached CMS signature over the raw body. */
  function open(header: string): OpenedSignature {
    const message = decodeBase64(header)
    if (message === undefined) return { problem: 'malformed', message: 'the header is not base64' }
    try {
      const { signer, content } = read(message)
      return { signer, body: content() }
    } catch (error) {
      return badSignature(error)
    }
  }

  async function identifySigner(signer: Certificate): Promise<SignatureResult> {
    const { fingerprint, problem } = await identify(signer, clock.now())
    return problem === undefined ? { fingerprint } : { problem, message: MESSAGES[problem] }
  }

  /** Checks an Mdm-Signature header over this body, and its signer. Never throws for bad input. */
  async function verifySignature(header: string, body: Buffer): Promise<SignatureResult> {
    const opened = open(header)
    if ('problem' in opened) return opened
    opened.body.update(body)
    return endCheck(opened.body) ?? identifySigner(opened.signer)
  }

  /**
   * Who a request shows to be from before its body is read: by a client certificate of ours, or by a Mdm-Signature of one of
   * ours, which `body` then compares with what arrives. Undefined for anybody else.
   */
  async function prove({ clientCertificate, signature }: Credentials): Promise<Proof | undefined> {
    if (clientCertificate !== undefined) {
      const { fingerprint, problem } = await identify(clientCertificate, clock.now())
      if (problem === undefined) return { fingerprint, body: undefined }
    }
    const opened = signature === undefined ? undefined : open(signature)
    if (opened === undefined || 'problem' in opened) return undefined
    const found = await identifySigner(opened.signer)
    return 'problem' in found ? undefined : { ...found, body: opened.body }
  }

  /**
   * Which certificate of ours a request was made with: the client certificate where that is one of ours, else the signer of
   * Mdm-Signature over exactly this body. `proof`: what was found before the body, which it has seen. A problem is a plain word for the log.
   */
  async function identifyCaller(
    credentials: Credentials,
    body: Buffer,
    proof?: Proof,
  ): Promise<{ fingerprint: Buffer } | { problem: string }> {
    if (proof !== undefined) return (proof.body && endCheck(proof.body)) ?? { fingerprint: proof.fingerprint }
    const { clientCertificate, signature } = credentials
    if (clientCertificate) {
      const found = await identify(clientCertificate, clock.now())
      if (!found.problem) return { fingerprint: found.fingerprint }
      if (signature === undefined) return { problem: `client_certificate_${found.problem}` }
    }
    if (signature === undefined) return { problem: 'certificate_missing' }
    return verifySignature(signature, body)
  }

  return { identify, verifySignature, prove, identifyCaller }
}

/** Looks whether one of our CAs issued a certificate. A CA is never taken back, so what was found once stays true. */
function createLookUp(authority: Authority) {
  /** By fingerprint, the one that was asked for last at the end. */
  const ours = new Map<string, Known>()

  async function isIssuedByUs(certificate: Certificate): Promise<boolean> {
    const trusted = authority.trusted().map((ca) => ca.certificate)
    return hasKey(certificate) && (await verifyChain(certificate, { trusted, at: null })).ok
  }

  async function find(certificate: Certificate): Promise<Known | undefined> {
    if (!(await isIssuedByUs(certificate))) {
      // Another process may have made or imported the CA.
      await authority.refresh()
      if (!(await isIssuedByUs(certificate))) return undefined
    }
    return { notBefore: certificate.notBefore.getTime(), notAfter: certificate.notAfter.getTime() }
  }

  return async function look(certificate: Certificate): Promise<Known | undefined> {
    const { fingerprint } = certificate
    const known = ours.get(fingerprint) ?? (await find(certificate))
    if (known === undefined) return undefined
    ours.delete(fingerprint)
    ours.set(fingerprint, known)
    if (ours.size > REMEMBERED_CERTIFICATES) ours.delete(ours.keys().next().value ?? '')
    return known
  }
}

function endCheck(check: ContentCheck): Extract<SignatureResult, { problem: string }> | undefined {
  try {
    check.end()
    return undefined
  } catch (error) {
    return badSignature(error)
  }
}

function badSignature(error: unknown): { problem: 'bad_signature'; message: string } {
  if (error instanceof AppError && error.code === 'cms_invalid')
    return { problem: 'bad_signature', message: error.message }
  throw error
}

const MESSAGES: Record<CertificateProblem, string> = {
  foreign: 'the certificate was not issued by the device CA',
  expired: 'the certificate has expired',
  not_yet_valid: 'the certificate is not valid yet',
}

/**
 * The bytes of base64, of the standard alphabet or of the URL-safe one, and of nothing else but white space. What the decoder
 * skips makes the bytes too few.
 */
function decodeBase64(header: string): Buffer | undefined {
  if (header.length > MAX_HEADER_LENGTH) return undefined
  const text = header.replaceAll(/\s/g, '')
  const isUrlSafe = text.includes('-') || text.includes('_')
  if (text === '' || (isUrlSafe ? /[+/]/.test(text) : text.length % 4 !== 0)) return undefined
  const bytes = Buffer.from(text, 'base64')
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  return bytes.length === Math.floor(((text.length - padding) * 3) / 4) ? bytes : undefined
}

function certificateIn(der: Buffer): Certificate | undefined {
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

import type { KeyObject } from 'node:crypto'
import { AppError } from '../../kernel/errors.ts'
import { OID } from '../asn1/index.ts'
import type { Certificate } from './certificate.ts'
import { formatName } from './name.ts'

/** Why a certificate is not trusted. */
type ChainFailure =
  | 'not_yet_valid'
  | 'expired'
  | 'untrusted_issuer'
  | 'bad_signature'
  | 'issuer_not_ca'
  | 'unsupported_extension'
  | 'unsupported_key'

/** The chain from the leaf to the trusted CA, or the reason, with a sentence for the log. */
type ChainResult =
  | { readonly ok: true; readonly chain: readonly Certificate[] }
  | { readonly ok: false; readonly reason: ChainFailure; readonly message: string }

type Failure = Extract<ChainResult, { ok: false }>

/** Signatures by keys that came with the leaf, which whoever sent them has chosen. */
const MAX_CHECKS = 4

const APPLE_EXTENSIONS = '1.2.840.113635.100.'
const UNDERSTOOD: ReadonlySet<string> = new Set([
  OID.basicConstraints,
  OID.keyUsage,
  OID.extendedKeyUsage,
  OID.subjectAltName,
  OID.subjectKeyIdentifier,
  OID.authorityKeyIdentifier,
  OID.crlDistributionPoints,
  OID.certificatePolicies,
])

/**
 * Whether a leaf was issued, directly or through intermediates, by one of the trusted CAs (RFC 5280, section 6,
 * without policies, name constraints and revocation): names chain byte for byte, each signature is by the issuer's
 * key, issuers are CAs that may sign certificates, all are valid at `at`. `at: null` leaves dates out. A leaf is never
 * trusted for being in `trusted` itself. At most four signatures are checked with keys of intermediates, on the thread pool.
 */
export async function verifyChain(
  leaf: Certificate,
  options: { trusted: readonly Certificate[]; intermediates?: readonly Certificate[]; at: Date | null },
): Promise<ChainResult> {
  const { trusted, at } = options
  const anchors = new Set(trusted.map(({ fingerprint }) => fingerprint))
  const intermediates = options.intermediates?.filter(({ fingerprint }) => !anchors.has(fingerprint)) ?? []
  let checks = 0

  async function extend(chain: readonly Certificate[]): Promise<ChainResult> {
    const current = chain.at(-1) ?? leaf
    const problem = checkAlone(current, at)
    if (problem !== undefined) return problem
    let failure = fail('untrusted_issuer', `nobody trusted is the issuer ${formatName(current.issuer)}`)
    for (const issuer of [...trusted, ...intermediates]) {
      if (!issuer.subjectDer.equals(current.issuerDer) || chain.includes(issuer)) continue
      const isAnchor = anchors.has(issuer.fingerprint)
      if (!isAnchor && ++checks > MAX_CHECKS) return fail('untrusted_issuer', 'the chain is too long')
      const refused = (await checkIssuer(issuer, current, chain.length - 1)) ?? checkAlone(issuer, at)
      const result = refused ?? (isAnchor ? succeed(chain, issuer) : await extend([...chain, issuer]))
      if (result.ok) return result
      failure = result
    }
    return failure
  }

  return extend([leaf])
}

function checkAlone(certificate: Certificate, at: Date | null): Failure | undefined {
  const name = formatName(certificate.subject)
  if (at !== null && at < certificate.notBefore) {
    return fail('not_yet_valid', `${name} is valid from ${certificate.notBefore.toISOString()} only`)
  }
  if (at !== null && at > certificate.notAfter) {
    return fail('expired', `${name} expired at ${certificate.notAfter.toISOString()}`)
  }
  for (const [type, { critical }] of certificate.extensions) {
    if (critical && !UNDERSTOOD.has(type) && !type.startsWith(APPLE_EXTENSIONS)) {
      return fail('unsupported_extension', `${name} has the critical extension ${type}`)
    }
  }
  return undefined
}

async function checkIssuer(
  issuer: Certificate,
  subject: Certificate,
  below: number,
): Promise<Failure | undefined> {
  const name = formatName(issuer.subject)
  if (!issuer.isCa) return fail('issuer_not_ca', `${name} is no CA`)
  if (issuer.keyUsage?.has('keyCertSign') === false) {
    return fail('issuer_not_ca', `${name} may not sign certificates`)
  }
  if (issuer.pathLength !== undefined && below > issuer.pathLength) {
    return fail('issuer_not_ca', `${name} may not have that many CAs below it`)
  }
  const key = keyOf(issuer)
  if (key instanceof AppError) return fail('unsupported_key', `${name}: ${key.message}`)
  if (await subject.signedBy(key)) return undefined
  return fail('bad_signature', `${formatName(subject.subject)} is not signed by the key of ${name}`)
}

function keyOf(issuer: Certificate): KeyObject | AppError {
  try {
    return issuer.publicKey()
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
}

function succeed(chain: readonly Certificate[], anchor: Certificate): ChainResult {
  return { ok: true, chain: [...chain, anchor] }
}

function fail(reason: ChainFailure, message: string): Failure {
  return { ok: false, reason, message }
}

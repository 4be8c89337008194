import { ownCopy } from '../../kernel/bytes.ts'
import { AppError } from '../../kernel/errors.ts'
import { fingerprintOf, parseCertificate, verifyChain, type Certificate } from '../x509/index.ts'

/** SHA-256 of `CN=Apple iPhone Device CA`, which issues the certificates that devices leave the factory with. */
const APPLE_IPHONE_DEVICE_CA = '76f27d00e1333bc88de0e2916c38c9a7f2b75774c25a794c092a80e3c4c66cce'

/** What is done about a signer that is not trusted: nothing, a line in the log, or a refusal. */
type MachineInfoTrustMode = 'off' | 'log' | 'enforce'

/** `accepted` follows the mode; `trusted` is the fact (true under `off`, where nobody looks); `reason` is a sentence. */
type TrustVerdict =
  | { readonly accepted: true; readonly trusted: true }
  | { readonly accepted: boolean; readonly trusted: false; readonly reason: string }

/** Judges signers of MachineInfo. */
export type MachineInfoTrust = ReturnType<typeof createMachineInfoTrust>

/**
 * Makes a judge: trusted is who has a certificate from Apple's device CA, which the message itself carries and which is
 * known by its SHA-256, or from one of the given CAs. Dates do not count, because Apple's CA of 2007 expired in 2014 and
 * its devices still sign. `pinned`: another fingerprint instead of Apple's. `remember`: so many signers that were found to be
 * trusted are not looked into again, about 0.1 kB each; a CA is never taken back, so it stays true. Refuses `x509_invalid`
 * for a CA with a key that signatures are not checked with.
 */
export function createMachineInfoTrust(options: {
  mode: MachineInfoTrustMode
  caCertificates?: readonly Certificate[]
  pinned?: string
  remember?: number
}) {
  const { mode, caCertificates = [], pinned = APPLE_IPHONE_DEVICE_CA, remember = 0 } = options
  let apple: Certificate | undefined
  const trusted = new Set<string>()
  caCertificates.forEach((ca) => ca.publicKey())

  /** Apple's CA, if the message brings it: the same bytes each time, read once. */
  function pinnedAmong(certificates: readonly Uint8Array[]): readonly Certificate[] {
    const der = certificates.find((each) => fingerprintOf(each) === pinned)
    if (der === undefined) return []
    apple ??= parseCertificate(ownCopy(der))
    return [apple]
  }

  return {
    /** False under `off`: whom it calls trusted may be anyone. */
    isLooking: mode !== 'off',
    /** `certificates`: DER, as they came with the message. */
    async judge(signer: Certificate, certificates: readonly Uint8Array[]): Promise<TrustVerdict> {
      if (mode === 'off' || trusted.has(signer.fingerprint)) return { accepted: true, trusted: true }
      const others = certificates.filter((der) => !signer.der.equals(der))
      const reason = await problemOf(signer, others, () => [...caCertificates, ...pinnedAmong(others)])
      if (reason !== undefined) return { accepted: mode !== 'enforce', trusted: false, reason }
      trusted.add(signer.fingerprint)
      if (trusted.size > remember) trusted.delete(trusted.values().next().value ?? '')
      return { accepted: true, trusted: true }
    },
  }
}

type ChainFailure = Extract<Awaited<ReturnType<typeof verifyChain>>, { ok: false }>['reason']

const PROBLEMS: Record<ChainFailure, string> = {
  untrusted_issuer: "the certificate comes neither from Apple's device CA nor from a configured one",
  bad_signature: 'the certificate claims an issuer that has not signed it',
  issuer_not_ca: 'the certificate was issued by one that is no CA',
  unsupported_extension: 'a certificate of the chain has a critical extension that is not known here',
  unsupported_key: 'a CA of the chain has a key of a kind or size that is not taken',
  // Dates are left out of this chain.
  expired: 'a certificate of the chain has expired',
  not_yet_valid: 'a certificate of the chain is not yet valid',
}

async function problemOf(
  signer: Certificate,
  others: readonly Uint8Array[],
  trustedAmongThem: () => readonly Certificate[],
): Promise<string | undefined> {
  try {
    const trusted = trustedAmongThem()
    if ((await verifyChain(signer, { trusted, at: null })).ok) return undefined
    const intermediates = others.map((der) => parseCertificate(der))
    const result = await verifyChain(signer, { trusted, intermediates, at: null })
    return result.ok ? undefined : `${PROBLEMS[result.reason]} (${result.message})`
  } catch (error) {
    if (error instanceof AppError) return `a certificate of the chain cannot be read: ${error.message}`
    throw error
  }
}

import type { KeyObject } from 'node:crypto'
import { AppError } from '../../kernel/errors.ts'
import {
  keyMatches,
  readPemBundle,
  readPemCertificates,
  verifyChain,
  type Certificate,
} from '../../protocol/x509/index.ts'

/** Who may sign requests for push certificates: the key, and the chain from its certificate to Apple's root. */
interface Vendor {
  key: KeyObject
  chain: readonly Certificate[]
}

const WHOLE_CHAIN = "the vendor's certificate, Apple's intermediate (WWDR) and Apple's root are needed"

/**
 * Reads a vendor's certificates, in whatever order, and its key, both PEM. Apple's portal says nothing of what is wrong
 * with them, so all of it is checked here: refuses with `vendor_identity_invalid`.
 */
export async function readVendor(given: { certificates: string; key: string }, now: Date): Promise<Vendor> {
  const key = read('key', () => readPemBundle(given.key).key)
  if (key === undefined) throw refused('key', 'There is no private key in it')
  if (key.asymmetricKeyType !== 'rsa') throw refused('key', 'Apple takes signatures of RSA keys alone')
  const certificates = read('certificates', () => readPemCertificates(given.certificates))
  if (certificates.length === 0) throw refused('certificates', 'There is no certificate in it')
  const leaf = read('certificates', () => certificates.find((each) => keyMatches(each, key)))
  if (leaf === undefined) throw refused('key', 'The private key belongs to none of the certificates')
  const distinct = [...new Map(certificates.map((each) => [each.fingerprint, each])).values()]
  const isRoot = ({ subjectDer, issuerDer }: Certificate) => subjectDer.equals(issuerDer)
  const found = await verifyChain(leaf, {
    trusted: distinct.filter(isRoot),
    intermediates: distinct.filter((each) => !isRoot(each)),
    at: now,
  })
  if (found.ok) return { key, chain: found.chain }
  const { reason, message } = found
  throw refused('certificates', reason === 'untrusted_issuer' ? `${message}: ${WHOLE_CHAIN}` : message)
}

function read<T>(what: 'certificates' | 'key', work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof AppError) throw refused(what, `It cannot be read: ${error.message}`)
    throw error
  }
}

function refused(what: 'certificates' | 'key', message: string): AppError {
  const path = `vendor_${what}`
  return new AppError('vendor_identity_invalid', `${message} (${path}).`, { fields: [{ path, message }] })
}

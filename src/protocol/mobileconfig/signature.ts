import { X509Certificate } from 'node:crypto'
import { rootCertificates } from 'node:tls'
import {
  Certificate,
  CertificateChainValidationEngine,
  ContentInfo,
  SignedData,
  type RelativeDistinguishedNames,
  type SignedDataVerifyResult,
} from 'pkijs'
import { AppError } from '../../kernel/errors.ts'
import { readPem } from '../x509/index.ts'

/** First byte of a SEQUENCE, with which CMS begins, and no property list. */
const SEQUENCE = 0x30
const PEM_BEGIN = '-----BEGIN '
const MAX_SIGNERS = 8
const MAX_CERTIFICATES = 16
const COMMON_NAME = '2.5.4.3'

/** Who signed a profile that was uploaded. The signature itself is right, or the upload is refused. */
export interface ProfileSigner {
  /** The common name, or the whole name where there is none. */
  subject: string
  issuer: string
  /** In hexadecimal. */
  serial_number: string
  /** RFC 3339. */
  not_after: string
  /** Whether the chain ends at a root that Node.js knows, and all of it is valid now. */
  is_trusted: boolean
  /** Why not. */
  problem: string | null
}

/**
 * What was signed (CMS SignedData, RFC 5652, DER or BER, or in PEM) and, with `verifiedAt`, by whom; what is not signed is given back as it
 * is. Throws `profile_encrypted` for what is encrypted and `cms_invalid` where the signature is not right.
 */
export async function unwrapProfile(
  bytes: Uint8Array,
  { verifiedAt }: { verifiedAt?: Date },
): Promise<{ content: Uint8Array; signer: ProfileSigner | null }> {
  const message = isPem(bytes) ? fromPem(bytes) : bytes
  if (message[0] !== SEQUENCE) return { content: message, signer: null }
  const signed = readSigned(message)
  const content = signed.encapContentInfo.eContent?.getValue()
  if (content === undefined) throw invalid('It holds a signature alone, and no profile')
  const signers: ProfileSigner[] = []
  for (let index = 0; verifiedAt !== undefined && index < signed.signerInfos.length; index++)
    signers.push(await verify(signed, index, verifiedAt))
  return { content: new Uint8Array(content), signer: signers[0] ?? null }
}

function isPem(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, PEM_BEGIN.length)).toString('latin1') === PEM_BEGIN
}

function fromPem(bytes: Uint8Array): Uint8Array {
  const block = readPem(Buffer.from(bytes).toString('latin1')).find(({ label }) =>
    /^(PKCS7|CMS)$/.test(label),
  )
  return block?.der ?? bytes
}

function readSigned(message: Uint8Array): SignedData {
  try {
    const info = ContentInfo.fromBER(ownBuffer(message))
    if (info.contentType === ContentInfo.SIGNED_DATA) return bounded(new SignedData({ schema: info.content }))
    if (info.contentType === ContentInfo.ENVELOPED_DATA)
      throw new AppError('profile_encrypted', 'The profile is encrypted: upload it as it was before.')
    throw invalid(`It is a CMS message of the type ${info.contentType}, and no signed profile`)
  } catch (error) {
    // The library throws whatever it stumbles over, and runs out of stack for what is nested deeply.
    throw error instanceof AppError ? error : invalid('It is no CMS message that can be read', error)
  }
}

function bounded(signed: SignedData): SignedData {
  const certificates = signed.certificates?.length ?? 0
  if (signed.signerInfos.length > MAX_SIGNERS || certificates > MAX_CERTIFICATES)
    throw invalid('It has too many signers or certificates')
  return signed
}

async function verify(signed: SignedData, index: number, now: Date): Promise<ProfileSigner> {
  const { signatureVerified, signerCertificate, message } = await resultOf(signed, index)
  if (!signatureVerified || !signerCertificate)
    throw invalid(`Its signature is not right${message === '' ? '' : ` (${message})`}`)
  const others = (signed.certificates ?? []).filter((each) => each instanceof Certificate)
  const problem = await problemOfChain(signerCertificate, others, now)
  return {
    subject: nameOf(signerCertificate.subject),
    issuer: nameOf(signerCertificate.issuer),
    serial_number: Buffer.from(signerCertificate.serialNumber.valueBlock.valueHexView).toString('hex'),
    not_after: signerCertificate.notAfter.value.toISOString(),
    is_trusted: problem === null,
    problem,
  }
}

async function resultOf(signed: SignedData, index: number): Promise<SignedDataVerifyResult> {
  try {
    return await signed.verify({ signer: index, checkChain: false, extendedMode: true })
  } catch (error) {
    throw invalid('Its signature cannot be checked', error)
  }
}

async function problemOfChain(
  signer: Certificate,
  others: readonly Certificate[],
  now: Date,
): Promise<string | null> {
  if (signer.notAfter.value <= now) return 'The certificate of the signer has expired.'
  const intermediates = others.filter((each) => each !== signer)
  try {
    const engine = new CertificateChainValidationEngine({
      trustedCerts: rootsFor([signer, ...intermediates]),
      // The certificate in question is the last.
      certs: [...intermediates, signer],
      checkDate: now,
    })
    const { result, resultMessage } = await engine.verify()
    return result ? null : `The chain of the signer does not hold: ${resultMessage}.`
  } catch (error) {
    return `The chain of the signer does not hold: ${error instanceof Error ? error.message : String(error)}.`
  }
}

/** The roots that may end a chain of these, by name: to read all roots would take a second. */
function rootsFor(certificates: readonly Certificate[]): Certificate[] {
  const issuers = new Set(
    certificates.map((each) => new X509Certificate(Buffer.from(each.toSchema().toBER())).issuer),
  )
  return rootCertificates.flatMap((pem) => {
    const root = new X509Certificate(pem)
    return issuers.has(root.subject) ? [Certificate.fromBER(ownBuffer(root.raw))] : []
  })
}

function nameOf({ typesAndValues }: RelativeDistinguishedNames): string {
  const texts = typesAndValues.map(({ type, value }) => ({ type, text: value.valueBlock.value }))
  const name = texts.findLast(({ type }) => type === COMMON_NAME)
  return name?.text ?? texts.map(({ text }) => text).join(', ')
}

function ownBuffer(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}

function invalid(why: string, cause?: unknown): AppError {
  return new AppError('cms_invalid', `${why}.`, { cause })
}

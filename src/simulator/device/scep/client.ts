import { constants, createHash, privateDecrypt, type KeyObject } from 'node:crypto'
import { addTime, type Clock } from '../../../kernel/clock.ts'
import { AppError } from '../../../kernel/errors.ts'
import { OID } from '../../../protocol/asn1/index.ts'
import { readCertificates, type ContentCipher } from '../../../protocol/cms/index.ts'
import { buildRequest, parseCertRep, type CertRep } from '../../../protocol/scep/index.ts'
import {
  createCsr,
  createLeaf,
  keyMatches,
  parseCertificate,
  verifyChain,
} from '../../../protocol/x509/index.ts'
import type { Certificate, HashName, Identity } from '../../../protocol/x509/index.ts'
import type { Random } from '../../random.ts'
import { ConnectionLost, type DeviceHttp, type HttpAnswer } from '../../wire/device-http.ts'
import { mediaType } from '../../wire/strict-reading.ts'
import type { ReportViolation } from '../../wire/violations.ts'
import type { ScepSettings } from './settings.ts'

/** What SCEP needs of its device. */
export interface ScepDeps {
  http: DeviceHttp
  clock: Clock
  random: Random
  report: ReportViolation
}

/** Apple's nonces have 8 bytes where RFC 8894 asks for 16. */
const NONCE_BYTES = 8
const TRANSACTION_BYTES = 20

/**
 * Gets a certificate as Apple's client does: GetCACaps, GetCACert, then PKIOperation by POST or GET as the
 * capabilities say, signed by a throw-away `MDM SCEP SIGNER` with the strongest digest announced.
 *
 * Refuses `scep_invalid` when the server refuses or answers wrongly (the latter is reported too); rejects with
 * ConnectionLost when it is away.
 */
export async function requestCertificate(
  deps: ScepDeps,
  settings: ScepSettings,
  key: KeyObject,
): Promise<Identity> {
  const capabilities = await getCapabilities(deps, settings)
  const cas = await getCaCertificates(deps, settings)
  const [ca] = cas
  const csr = await createCsr({
    subject: settings.subject,
    key,
    challengePassword: settings.challenge,
    keyUsage: settings.keyUsage,
  })
  const signer = await createSigner(key, deps.clock.now())
  const transactionId = deps.random.bytes(TRANSACTION_BYTES).toString('hex').toUpperCase()
  const senderNonce = deps.random.bytes(NONCE_BYTES)
  const request = await buildRequest({
    type: 'PKCSReq',
    content: csr,
    ca,
    signer,
    transactionId,
    senderNonce,
    cipher: chooseCipher(capabilities, deps.random),
    hash: chooseHash(capabilities),
    now: deps.clock.now(),
  })
  const answer = await operate(deps, settings, request, capabilities)
  const rep = await parseCertRep(answer.body, { identity: signer, unwrap }).catch((error: unknown) =>
    breach(deps, messageOf(error)),
  )
  checkAnswer(deps, rep, { transactionId, senderNonce, cas })
  return { key, certificate: await checkIssued(deps, rep, key, cas) }
}

async function getCapabilities(deps: ScepDeps, settings: ScepSettings): Promise<ReadonlySet<string>> {
  const answer = await send(deps, 'GetCACaps', { url: operationUrl(settings, 'GetCACaps', settings.name) })
  if (mediaType(answer.headers['content-type']) !== 'text/plain') {
    deps.report('wrong_content_type', 'GetCACaps is not text/plain')
  }
  return new Set(
    answer.body
      .toString('latin1')
      .split(/\r?\n/)
      .filter((line) => line !== ''),
  )
}

async function getCaCertificates(
  deps: ScepDeps,
  settings: ScepSettings,
): Promise<readonly [Certificate, ...Certificate[]]> {
  const answer = await send(deps, 'GetCACert', { url: operationUrl(settings, 'GetCACert', settings.name) })
  const type = mediaType(answer.headers['content-type'])
  const single = type === 'application/x-x509-ca-cert'
  if (!single && type !== 'application/x-x509-ca-ra-cert') {
    return breach(deps, `GetCACert came as ${type === '' ? 'nothing' : type}`)
  }
  const certificates = parseAll(deps, single ? () => [answer.body] : () => readCertificates(answer.body))
  const { caFingerprint } = settings
  const pinned = caFingerprint === undefined || certificates.some((ca) => hasFingerprint(ca, caFingerprint))
  if (!pinned) return breach(deps, 'no certificate of GetCACert has the CAFingerprint of the profile')
  const forKeys = certificates.find((ca) => ca.keyUsage?.has('keyEncipherment') !== false)
  if (forKeys === undefined) return breach(deps, 'no certificate of GetCACert may be used to encrypt')
  return [forKeys, ...certificates.filter((ca) => ca !== forKeys)]
}

async function operate(
  deps: ScepDeps,
  settings: ScepSettings,
  request: Buffer,
  capabilities: ReadonlySet<string>,
): Promise<HttpAnswer> {
  const post = capabilities.has('POSTPKIOperation') || capabilities.has('SCEPStandard')
  const url = operationUrl(settings, 'PKIOperation', post ? undefined : request.toString('base64'))
  const answer = await send(deps, 'PKIOperation', { url, ...(post ? { body: request } : {}) })
  if (mediaType(answer.headers['content-type']) !== 'application/x-pki-message') {
    deps.report('wrong_content_type', 'PKIOperation is not application/x-pki-message')
  }
  return answer
}

async function send(
  deps: ScepDeps,
  what: string,
  request: { url: string; body?: Buffer },
): Promise<HttpAnswer> {
  const headers: Record<string, string> = { 'user-agent': 'mdmclient/1.0' }
  if (request.body !== undefined) headers['content-type'] = 'application/x-pki-message'
  const method = request.body === undefined ? 'GET' : 'POST'
  const answer = await deps.http.send({ method, headers, ...request })
  if (answer.status === 429 || answer.status >= 500)
    throw new ConnectionLost(`${what} answered ${answer.status}`)
  if (answer.status !== 200) throw new AppError('scep_invalid', `${what} answered ${answer.status}`)
  return answer
}

function operationUrl(settings: ScepSettings, operation: string, message: string | undefined): string {
  const url = new URL(settings.url)
  url.searchParams.set('operation', operation)
  if (message !== undefined) url.searchParams.set('message', message)
  return url.href
}

/** Apple's throw-away signer: self-signed, serial number 1, one year. */
async function createSigner(key: KeyObject, now: Date): Promise<Identity> {
  return createLeaf({
    subject: [
      ['CN', 'MDM SCEP SIGNER'],
      ['C', 'CH'],
    ],
    notBefore: now,
    notAfter: addTime(now, 365, 'day'),
    serialNumber: Buffer.of(1),
    extendedKeyUsage: [OID.clientAuth],
    key,
  })
}

function chooseHash(capabilities: ReadonlySet<string>): HashName {
  if (capabilities.has('SHA-512')) return 'sha512'
  return capabilities.has('SHA-256') || capabilities.has('SCEPStandard') ? 'sha256' : 'sha1'
}

function chooseCipher(capabilities: ReadonlySet<string>, random: Random): ContentCipher {
  if (!capabilities.has('AES') && !capabilities.has('SCEPStandard')) return 'des-ede3-cbc'
  return random.pick(['aes-128-cbc', 'aes-256-cbc', 'des-ede3-cbc'])
}

async function unwrap(request: { key: KeyObject; encryptedKey: Uint8Array }): Promise<Uint8Array> {
  return privateDecrypt({ key: request.key, padding: constants.RSA_PKCS1_PADDING }, request.encryptedKey)
}

function checkAnswer(
  deps: ScepDeps,
  rep: CertRep,
  sent: { transactionId: string; senderNonce: Buffer; cas: readonly Certificate[] },
): void {
  if (rep.transactionId !== sent.transactionId) breach(deps, 'the answer has another transaction id')
  if (rep.recipientNonce?.equals(sent.senderNonce) !== true) breach(deps, 'the answer has another nonce')
  if (!sent.cas.some((ca) => ca.fingerprint === rep.signer.fingerprint)) {
    breach(deps, 'the answer is signed by none of the certificates of GetCACert')
  }
  if (rep.status === 'SUCCESS') return
  const reason = [rep.status, rep.failInfo, rep.failInfoText].filter((part) => part !== undefined).join(' ')
  throw new AppError('scep_invalid', `the server refused the certificate: ${reason}`)
}

async function checkIssued(
  deps: ScepDeps,
  rep: CertRep,
  key: KeyObject,
  cas: readonly Certificate[],
): Promise<Certificate> {
  const [issued] = rep.certificates
  if (issued === undefined || !keyMatches(issued, key)) {
    return breach(deps, 'the first certificate of the answer is not for the key that was sent')
  }
  const now = deps.clock.now()
  if (now < issued.notBefore || now > issued.notAfter) return breach(deps, 'the certificate is not valid now')
  if (!(await verifyChain(issued, { trusted: cas, at: null })).ok) {
    return breach(deps, 'the certificate is signed by none of the certificates of GetCACert')
  }
  if (issued.extendedKeyUsage?.includes(OID.clientAuth) === false)
    return breach(deps, 'not for client authentication')
  return issued
}

function parseAll(deps: ScepDeps, read: () => readonly Buffer[]): Certificate[] {
  try {
    return read().map((der) => parseCertificate(der))
  } catch (error) {
    return breach(deps, `GetCACert: ${(error as Error).message}`)
  }
}

function hasFingerprint(certificate: Certificate, fingerprint: Buffer): boolean {
  const algorithm = { 16: 'md5', 20: 'sha1' }[fingerprint.length] ?? 'sha256'
  return createHash(algorithm).update(certificate.der).digest().equals(fingerprint)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function breach(deps: ScepDeps, reason: string): never {
  deps.report('scep_invalid', reason)
  throw new AppError('scep_invalid', reason)
}

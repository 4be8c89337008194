import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AppError } from '../../../src/kernel/errors.ts'
import { TAG, fieldsOf, decodeDer, octetString, printableString } from '../../../src/protocol/asn1/index.ts'
import { createKeyUnwrapper, envelop, signData } from '../../../src/protocol/cms/index.ts'
import type { ContentCipher } from '../../../src/protocol/cms/index.ts'
import {
  buildFailure,
  buildRequest,
  buildSuccess,
  caCapabilities,
  caCertificates,
  decodeMessageParameter,
  openRequest,
  parseCertRep,
  parsePkiMessage,
} from '../../../src/protocol/scep/index.ts'
import {
  createCsr,
  formatName,
  issueCertificate,
  parseCertificate,
  spkiOf,
} from '../../../src/protocol/x509/index.ts'
import type { Certificate, HashName, Identity } from '../../../src/protocol/x509/index.ts'
import { TEST_VALIDITY, testCa, testDevice } from '../../support/identities.ts'
import { testKey } from '../../support/keys.ts'
import { openssl } from '../../support/openssl.ts'
import { refusal } from '../../support/refusal.ts'

const { unwrap, close } = createKeyUnwrapper({ threads: 1 })
const now = new Date('2026-06-01T00:00:00Z')
const OID_TRANSACTION = '2.16.840.1.113733.1.9.7'
const OID_TYPE = '2.16.840.1.113733.1.9.2'
const OID_NONCE = '2.16.840.1.113733.1.9.5'
const transactionId = 'A94A8FE5CCB19BA61C4C0873D391E987982FBBD3'

let ca: Identity
let signer: Identity
let csr: Buffer
let issued: Certificate

beforeAll(async () => {
  ca = await testCa()
  // Apple's clients sign with a certificate of the moment, whose dates mean nothing.
  signer = await testDevice(undefined, {
    subject: [
      ['CN', 'MDM SCEP SIGNER'],
      ['C', 'CH'],
    ],
    notBefore: new Date('2001-01-01T00:00:00Z'),
    notAfter: new Date('2002-01-01T00:00:00Z'),
    serialNumber: Buffer.of(1),
  })
  csr = await createCsr({ subject: [['CN', 'enr-1']], key: signer.key, challengePassword: 'one-time-secret' })
  const subject = [['CN', 'enr-1']] as const
  issued = await issueCertificate({ issuer: ca, spki: signer.certificate.spki, subject, ...TEST_VALIDITY })
})
afterAll(close)

const request = (
  options: { cipher?: ContentCipher; hash?: HashName; senderNonce?: Buffer; content?: Buffer } = {},
) =>
  buildRequest({ type: 'PKCSReq', content: csr, ca: ca.certificate, signer, transactionId, now, ...options })

async function codeOf(action: Promise<unknown>): Promise<string | undefined> {
  try {
    await action
    return undefined
  } catch (error) {
    if (error instanceof AppError) return `${error.code}: ${error.message}`
    throw error
  }
}

describe('a whole exchange', () => {
  test.each([
    ['des-ede3-cbc', 'sha512', 8, 'des-ede3-cbc'],
    ['aes-128-cbc', 'sha256', 16, 'aes-128-cbc'],
    ['aes-192-cbc', 'sha384', 16, 'aes-192-cbc'],
    ['aes-256-cbc', 'sha1', 16, 'aes-256-cbc'],
    ['des-cbc', 'sha1', 16, 'des-ede3-cbc'],
  ] as const)('%s, %s, nonce of %i bytes: answered in %s', async (cipher, hash, size, answered) => {
    const senderNonce = Buffer.alloc(size, 9)
    const message = parsePkiMessage(await request({ cipher, hash, senderNonce }))
    expect(message).toMatchObject({
      messageType: 'PKCSReq',
      transactionId,
      digestAlgorithm: hash,
      signingTime: now,
    })
    expect(message.senderNonce).toEqual(senderNonce)
    expect(message.signer.fingerprint).toBe(signer.certificate.fingerprint)

    const opened = await openRequest(message, { identity: ca, unwrap })
    expect(opened).toMatchObject({ cipher, csr: { challengePassword: 'one-time-secret' } })
    expect(opened.csr.der).toEqual(csr)
    expect(opened.csr.verify()).toBe(true)

    const answer = await buildSuccess({
      request: message,
      issued,
      chain: [ca.certificate],
      cipher,
      signer: ca,
      now,
    })
    const reply = await parseCertRep(answer, { identity: signer, unwrap })
    expect(reply).toMatchObject({ status: 'SUCCESS', transactionId, cipher: answered, failInfo: undefined })
    expect(reply.recipientNonce).toEqual(senderNonce)
    expect(reply.senderNonce.length).toBe(16)
    expect(reply.signer.fingerprint).toBe(ca.certificate.fingerprint)
    expect(reply.certificates.map(({ fingerprint }) => fingerprint)).toEqual([
      issued.fingerprint,
      ca.certificate.fingerprint,
    ])
    expect(parsePkiMessage(answer).digestAlgorithm).toBe(hash)
  })

  test.each(['badAlg', 'badMessageCheck', 'badRequest', 'badTime', 'badCertId'] as const)(
    'refused with %s',
    async (failInfo) => {
      const message = parsePkiMessage(await request({ senderNonce: Buffer.alloc(8, 1) }))
      const answer = await buildFailure({
        request: message,
        failInfo,
        failInfoText: 'Challenge ü',
        signer: ca,
        now,
      })
      const reply = await parseCertRep(answer, { identity: signer, unwrap })
      expect(reply).toMatchObject({
        status: 'FAILURE',
        failInfo,
        failInfoText: 'Challenge ü',
        certificates: [],
        transactionId,
      })
      expect(reply.recipientNonce).toEqual(Buffer.alloc(8, 1))
    },
  )

  test.each(['RenewalReq', 'UpdateReq', 'CertPoll', 'GetCert', 'GetCRL'] as const)(
    '%s is told by its type',
    async (type) => {
      const options = { type, content: csr, ca: ca.certificate, signer, transactionId }
      expect(parsePkiMessage(await buildRequest(options)).messageType).toBe(type)
    },
  )

  test('openssl reads our answers: signature, then envelope', async () => {
    const message = parsePkiMessage(await request())
    const m = await buildSuccess({ request: message, issued, cipher: 'aes-128-cbc', signer: ca, now })
    const files = { m, k: testKey('device').export({ format: 'pem', type: 'pkcs8' }) }
    const inner = openssl(['cms', '-verify', '-noverify', '-inform', 'DER', '-in', 'm', '-binary'], files)
    expect(inner.stderr).toContain('CMS Verification successful')
    const args = ['cms', '-decrypt', '-inform', 'DER', '-in', 'e', '-inkey', 'k', '-binary']
    const opened = openssl(args, { ...files, e: inner.stdout })
    const printed = openssl(['pkcs7', '-inform', 'DER', '-in', 'p', '-print_certs'], { p: opened.stdout })
    expect(printed.stdout.toString()).toContain('subject=CN = enr-1')
  })
})

describe('a request of the client scepclient, made for the CA beside it', () => {
  const fixture = (name: string) => readFileSync(new URL(`../../fixtures/scep/${name}`, import.meta.url))

  test('single DES and SHA-1 are opened', async () => {
    const identity = { certificate: parseCertificate(fixture('ca.pem')), key: testKey('ca') }
    const message = parsePkiMessage(fixture('scepclient-request.der'))
    expect(message).toMatchObject({ messageType: 'PKCSReq', digestAlgorithm: 'sha1' })
    expect(formatName(message.signer.subject)).toBe('O=scep-client, CN=SCEP SIGNER')
    const opened = await openRequest(message, { identity, unwrap })
    expect(opened).toMatchObject({ cipher: 'des-cbc', csr: { challengePassword: 'one-time-secret' } })
    expect(opened.csr.verify()).toBe(true)
  })
})

describe('the key of the request', () => {
  test('is that of the signer, or its own when it is another one', async () => {
    const message = parsePkiMessage(await request())
    const same = await openRequest(message, { identity: ca, unwrap })
    expect(same.csr.publicKey()).toBe(message.signer.publicKey())
    const key = testKey('other')
    const content = await createCsr({ subject: [['CN', 'enr-1']], key })
    const { csr: another } = await openRequest(parsePkiMessage(await request({ content })), {
      identity: ca,
      unwrap,
    })
    expect(another.spki).toEqual(spkiOf(key))
    expect(another.publicKey().export({ format: 'der', type: 'spki' })).toEqual(spkiOf(key))
    expect(another.verify()).toBe(true)
  })
})

describe('liberties of clients', () => {
  test('a message in indefinite lengths and pieces is read as the same', async () => {
    const der = await request()
    const ber = asBer(der)
    expect(ber[1]).toBe(0x80)
    expect(ber.indexOf(Buffer.from('2480046430', 'hex'))).toBeGreaterThan(0)
    const message = parsePkiMessage(ber)
    expect(message).toMatchObject({ messageType: 'PKCSReq', transactionId })
    expect((await openRequest(message, { identity: ca, unwrap })).csr.der).toEqual(csr)
  })

  test('a GET parameter may have lost its plus signs, padding, or have the URL-safe alphabet', () => {
    const bytes = Buffer.from('fbefbefffefdfb', 'hex')
    const text = bytes.toString('base64')
    for (const form of [
      text,
      text.replaceAll('+', ' '),
      text.replaceAll('=', ''),
      bytes.toString('base64url'),
      `${text.slice(0, 4)}\r\n${text.slice(4)}`,
    ]) {
      expect(decodeMessageParameter(form)).toEqual(bytes)
    }
    for (const form of ['', '%%%', 'AA=A', 'ü']) {
      expect(refusal(() => decodeMessageParameter(form))?.message).toBe('the message parameter is no base64')
    }
  })
})

/** The same value with indefinite lengths everywhere and OCTET STRINGs at the top in pieces of 100 bytes. */
function asBer(der: Buffer): Buffer {
  const { tag, content } = decodeDer(der, 'scep_invalid')
  // Signed attributes, certificates and signers are left alone: what is signed there is their DER.
  if (tag === TAG.octetString)
    return indefinite(
      0x24,
      pieces(content).map((piece) => octetString(piece)),
    )
  if ((tag & 0x20) === 0 || tag === TAG.set || tag === TAG.context(0)) {
    const inner = tag === TAG.context(0) ? soleChild(der) : undefined
    return inner === undefined ? der : indefinite(tag, [asBer(inner)])
  }
  return indefinite(tag, childrenOf(der).map(asBer))
}

function indefinite(tag: number, parts: Buffer[]): Buffer {
  return Buffer.concat([Buffer.of(tag, 0x80), ...parts, Buffer.of(0, 0)])
}

function childrenOf(der: Buffer): Buffer[] {
  const element = decodeDer(der, 'scep_invalid')
  const fields = fieldsOf(element, element.tag, 'value')
  const children: Buffer[] = []
  for (let used = 0; used < element.content.length; used += children.at(-1)?.length ?? 0) {
    children.push(fields.any('child').encoded)
  }
  return children
}

function soleChild(der: Buffer): Buffer | undefined {
  const [child, another] = childrenOf(der)
  const isWrapper = child?.[0] === TAG.octetString || (child?.[0] === TAG.sequence && child[4] === 0x02)
  return another === undefined && isWrapper ? child : undefined
}

function pieces(bytes: Buffer): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / 100) }, (_, index) =>
    bytes.subarray(index * 100, index * 100 + 100),
  )
}

describe('refusals', () => {
  const type = [OID_TYPE, printableString('19')] as const
  const transaction = [OID_TRANSACTION, printableString('T')] as const
  const nonce = [OID_NONCE, octetString(Buffer.alloc(16))] as const

  test.each([
    ['no transaction', [type, nonce], 'scep_invalid: the transaction id is missing'],
    [
      'an empty transaction',
      [type, nonce, [OID_TRANSACTION, printableString('')]],
      'scep_invalid: the transaction id',
    ],
    [
      'a long transaction',
      [type, nonce, [OID_TRANSACTION, printableString('x'.repeat(257))]],
      'scep_invalid: the transaction id',
    ],
    ['no type', [transaction, nonce], 'scep_invalid: the message type is missing'],
    ['no nonce', [type, transaction], 'scep_invalid: the sender nonce is missing'],
    [
      'a long nonce',
      [type, transaction, [OID_NONCE, octetString(Buffer.alloc(65))]],
      'scep_invalid: the nonce is too long',
    ],
    [
      'a type that is no text',
      [transaction, nonce, [OID_TYPE, octetString(Buffer.of(1))]],
      'cms_invalid: ASN.1',
    ],
    ['two types', [type, type, transaction, nonce], 'is there twice'],
  ] as const)('%s', async (_, attributes, reason) => {
    const message = await signData({ content: csr, signer, attributes })
    const error = refusal(() => parsePkiMessage(message))
    expect(`${error?.code}: ${error?.message}`).toContain(reason)
  })

  test('an unknown type is told as unknown', async () => {
    const attributes = [transaction, nonce, [OID_TYPE, printableString('99')]] as const
    expect(parsePkiMessage(await signData({ content: csr, signer, attributes })).messageType).toBe('unknown')
  })

  test('whatever is wrong inside the envelope is refused alike', async () => {
    const send = async (envelope: Uint8Array | undefined) => {
      const content = envelope === undefined ? {} : { content: envelope }
      const message = await signData({ ...content, signer, attributes: [type, transaction, nonce] })
      return codeOf(openRequest(parsePkiMessage(message), { identity: ca, unwrap }))
    }
    const recipient = ca.certificate
    const alike = 'scep_invalid: the envelope cannot be opened, or holds no certificate request'
    const changed = envelop(csr, { recipient, cipher: 'aes-128-cbc' })
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1
    expect(await send(changed)).toBe(alike)
    expect(await send(envelop(Buffer.from('no request'), { recipient, cipher: 'aes-128-cbc' }))).toBe(alike)
    expect(await send(envelop(csr.subarray(1), { recipient, cipher: 'des-ede3-cbc' }))).toBe(alike)
    expect(await send(envelop(csr, { recipient: signer.certificate, cipher: 'aes-128-cbc' }))).toBe(alike)
    expect(await send(csr)).toBe(alike)
    expect(await send(undefined)).toBe('scep_invalid: the message holds no envelope')
  })

  test('a busy server is told as such', async () => {
    const busy = () => Promise.reject(new AppError('overloaded', 'busy'))
    const message = parsePkiMessage(await request())
    expect(await codeOf(openRequest(message, { identity: ca, unwrap: busy }))).toBe('overloaded: busy')
  })

  test('an answer that is none', async () => {
    expect(await codeOf(parseCertRep(await request(), { identity: signer, unwrap }))).toBe(
      'scep_invalid: the answer is a PKCSReq, not a CertRep',
    )
    const rep = [OID_TYPE, printableString('3')] as const
    const bare = await signData({ signer, attributes: [rep, transaction, nonce] })
    expect(await codeOf(parseCertRep(bare, { identity: signer, unwrap }))).toContain('no known status')
    const status = ['2.16.840.1.113733.1.9.3', printableString('0')] as const
    const empty = await signData({ signer, attributes: [rep, status, transaction, nonce] })
    expect(await codeOf(parseCertRep(empty, { identity: signer, unwrap }))).toContain(
      'a success without content',
    )
  })

  test('changed, cut and random messages', async () => {
    const message = await request()
    for (let end = 0; end < message.length; end += 11) {
      expect(refusal(() => parsePkiMessage(message.subarray(0, end)))?.code).toBe('cms_invalid')
    }
    fc.assert(
      fc.property(fc.nat(message.length - 1), fc.integer({ min: 1, max: 255 }), (position, change) => {
        const changed = Buffer.from(message)
        changed[position] = (changed[position] ?? 0) ^ change
        const error = refusal(() => {
          const parsed = parsePkiMessage(changed)
          expect(parsed.transactionId).toBe(transactionId)
          expect(parsed.envelope?.equals(parsePkiMessage(message).envelope ?? Buffer.alloc(0))).toBe(true)
        })
        expect(['cms_invalid', undefined]).toContain(error?.code)
      }),
      { numRuns: 300 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(refusal(() => parsePkiMessage(bytes))?.code).toBe('cms_invalid')
      }),
    )
  })
})

describe('what the CA tells of itself', () => {
  test('capabilities, one a line, SHA-1 only when wanted', () => {
    expect(caCapabilities({ sha1: false })).toBe(
      'Renewal\nSHA-256\nSHA-512\nAES\nDES3\nSCEPStandard\nPOSTPKIOperation\n',
    )
    expect(caCapabilities({ sha1: true }).split('\n')).toContain('SHA-1')
  })

  test('one certificate as it is, several as a certs-only message', () => {
    expect(caCertificates([ca.certificate])).toEqual({
      contentType: 'application/x-x509-ca-cert',
      body: ca.certificate.der,
    })
    const several = caCertificates([ca.certificate, issued])
    expect(several.contentType).toBe('application/x-x509-ca-ra-cert')
    const { stdout } = openssl(['pkcs7', '-inform', 'DER', '-in', 'p', '-print_certs'], { p: several.body })
    expect(stdout.toString()).toMatch(/CN = Test CA[\s\S]*CN = enr-1/)
  })
})

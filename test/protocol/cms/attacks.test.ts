import { createHash, sign } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  OID,
  TAG,
  algorithm,
  context,
  contextPrimitive,
  integer,
  nullValue,
  octetString,
  oid,
  sequence,
  setOf,
  tlv,
} from '../../../src/protocol/asn1/index.ts'
import { createSignatureVerifier, signData } from '../../../src/protocol/cms/index.ts'
import type { VerifyOptions } from '../../../src/protocol/cms/index.ts'
import type { Identity } from '../../../src/protocol/x509/index.ts'
import { testCa, testDevice } from '../../support/identities.ts'
import { refusal } from '../../support/refusal.ts'

const body = Buffer.from('what was signed')
const verify = createSignatureVerifier({ cacheSize: 4 })
const reasonOf = (bytes: Buffer, options?: VerifyOptions) => {
  const error = refusal(() => verify(bytes, options))
  return error && `${error.code}: ${error.message}`
}
const detached = { detached: { content: body } }

let device: Identity
let other: Identity

beforeAll(async () => {
  const ca = await testCa()
  device = await testDevice(ca)
  other = await testDevice(ca, { subject: [['CN', 'other']] }, 'other')
})

const digest = (data: Uint8Array, hash = 'sha256') => createHash(hash).update(data).digest()
const attribute = (type: string, ...values: Buffer[]) => sequence(oid(type), tlv(TAG.set, ...values))
const contentTypeAttribute = () => attribute(OID.contentType, oid(OID.data))
const digestAttribute = (data: Uint8Array) => attribute(OID.messageDigest, octetString(digest(data)))
const signature = (data: Uint8Array, hash = 'sha256') => octetString(sign(hash, data, device.key))

interface Parts {
  attributes?: Buffer[]
  signed?: Buffer
  reference?: Buffer
  digestOid?: string
  signatureOid?: string
  version?: number
}

/** A SignerInfo of the device, right unless the parts say otherwise. */
function signerInfo(parts: Parts = {}): Buffer {
  const { attributes = [contentTypeAttribute(), digestAttribute(body)], digestOid = OID.sha256 } = parts
  const { issuerDer, serialBytes } = device.certificate
  return sequence(
    integer(parts.version ?? 1),
    parts.reference ?? sequence(issuerDer, tlv(TAG.integer, serialBytes)),
    algorithm(digestOid, nullValue()),
    ...(attributes.length > 0 ? [context(0, ...attributes)] : []),
    algorithm(parts.signatureOid ?? OID.sha256WithRsa, nullValue()),
    signature(parts.signed ?? tlv(TAG.set, ...attributes)),
  )
}

function message(
  signers: Buffer[],
  options: { content?: Buffer; certificates?: Buffer[]; type?: string } = {},
): Buffer {
  const { content, certificates = [device.certificate.der], type = OID.data } = options
  return sequence(
    oid(OID.signedData),
    context(
      0,
      sequence(
        integer(1),
        setOf(algorithm(OID.sha256, nullValue())),
        content === undefined ? sequence(oid(type)) : sequence(oid(type), context(0, octetString(content))),
        context(0, ...certificates),
        tlv(TAG.set, ...signers),
      ),
    ),
  )
}

test('the message that the attacks start from is good', () => {
  expect(reasonOf(message([signerInfo()]), detached)).toBeUndefined()
  expect(reasonOf(message([signerInfo()], { content: body }))).toBeUndefined()
})

describe('content', () => {
  test('another body than the signed one is refused', () => {
    const options = { detached: { content: Buffer.from('something else') } }
    expect(reasonOf(message([signerInfo()]), options)).toBe(
      'cms_invalid: the message digest is that of other content',
    )
    expect(reasonOf(message([signerInfo()], { content: Buffer.from('something else') }))).toContain(
      'of other content',
    )
  })

  test('a detached signature may not bring its own content', () => {
    expect(reasonOf(message([signerInfo()], { content: body }), detached)).toContain(
      'holds content of its own',
    )
  })

  test('content must be there unless it need not', () => {
    expect(reasonOf(message([signerInfo()]))).toBe('cms_invalid: the message holds no content')
    const empty = signerInfo({ attributes: [contentTypeAttribute(), digestAttribute(Buffer.alloc(0))] })
    expect(reasonOf(message([empty]), { content: 'optional' })).toBeUndefined()
  })
})

describe('signed attributes', () => {
  test.each([
    ['no digest', () => [contentTypeAttribute()], 'lack content type or message digest'],
    ['no content type', () => [digestAttribute(body)], 'lack content type or message digest'],
    [
      'two digests',
      () => [contentTypeAttribute(), digestAttribute(body), digestAttribute(body)],
      'is there twice',
    ],
    [
      'a digest with two values',
      () => [
        contentTypeAttribute(),
        attribute(OID.messageDigest, octetString(digest(body)), octetString(digest(body))),
      ],
      'has two values',
    ],
    ['a digest without value', () => [contentTypeAttribute(), attribute(OID.messageDigest)], 'has no value'],
    [
      'a digest that is cut',
      () => [contentTypeAttribute(), attribute(OID.messageDigest, octetString(digest(body).subarray(1)))],
      'of other content',
    ],
    [
      'another content type',
      () => [attribute(OID.contentType, oid(OID.signedData)), digestAttribute(body)],
      'content type is another one',
    ],
    [
      'a digest of another type',
      () => [contentTypeAttribute(), attribute(OID.messageDigest, integer(1))],
      'tag 0x2',
    ],
  ])('%s is refused', (_, attributes, reason) => {
    expect(reasonOf(message([signerInfo({ attributes: attributes() })]), detached)).toContain(reason)
  })

  test('are verified in the order of DER too, since that is what is signed', () => {
    const attributes = [digestAttribute(body), contentTypeAttribute()]
    expect(
      reasonOf(message([signerInfo({ attributes, signed: setOf(...attributes) })]), detached),
    ).toBeUndefined()
  })

  test('may not be stripped: their encoding is no content', async () => {
    const attributes = [contentTypeAttribute(), digestAttribute(body)]
    const stolen = tlv(TAG.set, ...attributes)
    const stripped = message([signerInfo({ attributes: [], signed: stolen })])
    const options = { detached: { content: stolen } }
    expect(reasonOf(stripped, options)).toBe('cms_invalid: the signature has no signed attributes')
    expect(reasonOf(stripped, { ...options, attributes: 'optional' })).toBe(
      'cms_invalid: the content looks like signed attributes',
    )
  })

  test('may not be changed', () => {
    const changed = [contentTypeAttribute(), digestAttribute(Buffer.from('evil'))]
    const good = tlv(TAG.set, contentTypeAttribute(), digestAttribute(body))
    const info = signerInfo({ attributes: changed, signed: good })
    expect(reasonOf(message([info]), { detached: { content: Buffer.from('evil') } })).toBe(
      'cms_invalid: the signature is wrong',
    )
  })
})

describe('signers', () => {
  test('exactly one is wanted', () => {
    expect(reasonOf(message([]), detached)).toBe('cms_invalid: the message has 0 signers')
    expect(reasonOf(message([signerInfo(), signerInfo()]), detached)).toBe(
      'cms_invalid: the message has 2 signers',
    )
  })

  test('another certificate of the same name and number does not do', async () => {
    const { subjectDer, serialBytes } = device.certificate
    const twin = await testDevice(undefined, { serialNumber: serialBytes }, 'other')
    const reference = sequence(subjectDer, tlv(TAG.integer, serialBytes))
    const swapped = message([signerInfo({ reference })], { certificates: [twin.certificate.der] })
    expect(reasonOf(swapped, detached)).toBe('cms_invalid: the signature is wrong')
  })

  test('the certificate must be in the message', () => {
    const swapped = message([signerInfo()], { certificates: [other.certificate.der] })
    expect(reasonOf(swapped, detached)).toContain('certificate of the signer is not in the message')
    expect(reasonOf(message([signerInfo()], { certificates: [] }), detached)).toContain(
      'is not in the message',
    )
  })

  test('a subject key identifier names it as well, a wrong one does not', () => {
    const named = (id: string) =>
      message([signerInfo({ version: 3, reference: contextPrimitive(0, Buffer.from(id, 'hex')) })])
    expect(reasonOf(named(device.certificate.subjectKeyId ?? ''), detached)).toBeUndefined()
    expect(reasonOf(named(other.certificate.subjectKeyId ?? ''), detached)).toContain('is not in the message')
    expect(reasonOf(named(''), detached)).toContain('is not in the message')
  })

  test('digest and signature algorithm must agree and be known', () => {
    expect(reasonOf(message([signerInfo({ digestOid: OID.sha1 })]), detached)).toBe(
      'cms_invalid: digest sha1 does not fit a signature with sha256',
    )
    expect(reasonOf(message([signerInfo({ digestOid: '1.2.840.113549.2.5' })]), detached)).toContain(
      'is not supported',
    )
    expect(reasonOf(message([signerInfo({ signatureOid: '1.2.840.113549.1.1.4' })]), detached)).toContain(
      'signature algorithm 1.2.840.113549.1.1.4 is not supported',
    )
    expect(reasonOf(message([signerInfo({ signatureOid: OID.ecdsaWithSha256 })]), detached)).toBe(
      'cms_invalid: the signature is wrong',
    )
    expect(reasonOf(message([signerInfo({ version: 2 })]), detached)).toBe(
      'cms_invalid: a signer of version 2',
    )
  })

  test('there may not be any number of certificates', () => {
    const certificates = Array.from({ length: 17 }, () => device.certificate.der)
    expect(reasonOf(message([signerInfo()], { certificates }), detached)).toBe(
      'cms_invalid: more than 16 certificates',
    )
  })

  test('a certificate that is none is refused', () => {
    expect(reasonOf(message([signerInfo()], { certificates: [sequence(integer(1))] }), detached)).toContain(
      'tag 0x2',
    )
    expect(reasonOf(message([signerInfo()], { certificates: [integer(1)] }), detached)).toContain('tag 0x2')
  })
})

describe('form', () => {
  test.each([
    [
      'another type',
      () => sequence(oid(OID.envelopedData), context(0, sequence())),
      'is of type 1.2.840.113549.1.7.3',
    ],
    ['nothing inside', () => sequence(oid(OID.signedData), context(0)), 'content lacks content'],
    [
      'two things inside',
      () => sequence(oid(OID.signedData), context(0, sequence(), sequence())),
      'a field too many',
    ],
    [
      'a field too many',
      () => sequence(oid(OID.signedData), context(0, sequence()), nullValue()),
      'a field too many',
    ],
  ])('%s is refused', (_, make, reason) => {
    expect(reasonOf(make(), detached)).toContain(reason)
  })

  // What took the square of their length would not end before the test does.
  test('four megabytes of nesting, values or lengths are refused', () => {
    const hostile = [
      Buffer.alloc(4_000_000, '3080', 'hex'),
      Buffer.alloc(4_000_000, '2480', 'hex'),
      Buffer.alloc(4_000_000, '3084003fffff', 'hex'),
      tlv(TAG.sequence, oid(OID.signedData), tlv(TAG.set, Buffer.alloc(4_000_000, '0500', 'hex'))),
    ]
    for (const bytes of hostile) {
      for (const encoding of ['der', 'ber'] as const)
        expect(reasonOf(bytes, { encoding })).toContain('cms_invalid')
    }
  })

  test('a cache of one certificate is enough, and right, for two signers in turn', async () => {
    const small = createSignatureVerifier({ cacheSize: 1 })
    const messages = await Promise.all(
      [device, other].map((signer) => signData({ content: body, signer, detached: true })),
    )
    for (const turn of [0, 1, 0, 1]) {
      const { signer } = small(messages[turn] ?? Buffer.alloc(0), detached)
      expect(signer.fingerprint).toBe([device, other][turn]?.certificate.fingerprint)
    }
  })
})

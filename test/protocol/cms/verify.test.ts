import { createHash } from 'node:crypto'
import fc from 'fast-check'
import forge from 'node-forge'
import * as asn1js from 'asn1js'
import * as pkijs from 'pkijs'
import { beforeAll, describe, expect, test } from 'vitest'
import { OID } from '../../../src/protocol/asn1/index.ts'
import {
  createDetachedReader,
  createSignatureVerifier,
  degenerate,
  readCertificates,
  signData,
} from '../../../src/protocol/cms/index.ts'
import { keyToPem, writePem } from '../../../src/protocol/x509/index.ts'
import type { Identity } from '../../../src/protocol/x509/index.ts'
import { testCa, testDevice } from '../../support/identities.ts'
import { openssl } from '../../support/openssl.ts'
import { readSignedData } from '../../../src/protocol/cms/signed-data.ts'
import { refusal } from '../../support/refusal.ts'

const body = Buffer.from('<plist><dict/></plist>\r\n')
const verify = createSignatureVerifier({ cacheSize: 10 })
const read = createDetachedReader({ cacheSize: 10 })

/** The fingerprint of the signer, whose content comes byte by byte. */
function signerInPieces(message: Buffer, content: Buffer): string {
  const { signer, content: begin } = read(message)
  const check = begin()
  for (const byte of content) check.update(Buffer.of(byte))
  check.end()
  return signer.fingerprint
}
let ca: Identity
let device: Identity
let curve: Identity

beforeAll(async () => {
  ca = await testCa()
  device = await testDevice(ca)
  curve = await testDevice(ca, { subject: [['CN', 'curve']] }, 'ec')
})

function opensslSign(identity: Identity, ...options: string[]): Buffer {
  const files = {
    body,
    k: keyToPem(identity.key),
    c: writePem('CERTIFICATE', identity.certificate.der),
    ca: writePem('CERTIFICATE', ca.certificate.der),
  }
  const args = [
    'cms',
    '-sign',
    '-binary',
    '-in',
    'body',
    '-signer',
    'c',
    '-inkey',
    'k',
    '-outform',
    'DER',
    '-out',
    'm',
  ]
  const { files: made, stderr } = openssl([...args, ...options], files, ['m'])
  expect(stderr).toBe('')
  return made.m
}

describe('signatures of openssl', () => {
  test.each([
    ['RSA', 'sha1', []],
    ['RSA', 'sha256', ['-certfile', 'ca']],
    ['RSA', 'sha384', ['-keyid']],
    ['RSA', 'sha512', ['-nosmimecap']],
    ['RSA', 'sha256', ['-keyopt', 'rsa_padding_mode:pss']],
    ['EC', 'sha1', []],
    ['EC', 'sha256', []],
    ['EC', 'sha512', ['-keyid']],
  ] as const)('%s, %s, %j: detached, as a whole and in pieces', (kind, hash, options) => {
    const identity = kind === 'RSA' ? device : curve
    const message = opensslSign(identity, '-md', hash, ...options)
    const verified = verify(message, { detached: { content: body } })
    expect(verified.signer.fingerprint).toBe(identity.certificate.fingerprint)
    expect(verified).toMatchObject({ digestAlgorithm: hash, content: undefined, contentType: OID.data })
    expect(Math.abs((verified.signingTime?.getTime() ?? 0) - Date.now())).toBeLessThan(60_000)
    expect(signerInPieces(message, body)).toBe(identity.certificate.fingerprint)
  })

  test('embedded, in DER and in BER', () => {
    expect(verify(opensslSign(device, '-nodetach')).content).toEqual(body)
    const streamed = opensslSign(device, '-nodetach', '-stream')
    expect(verify(streamed, { encoding: 'ber' }).content).toEqual(body)
    expect(refusal(() => verify(streamed))?.message).toBe('ASN.1: indefinite length')
  })

  test('without signed attributes only where that is allowed', () => {
    const message = opensslSign(device, '-nodetach', '-noattr')
    expect(refusal(() => verify(message))?.message).toBe('the signature has no signed attributes')
    expect(verify(message, { attributes: 'optional' })).toMatchObject({
      content: body,
      signingTime: undefined,
    })
    const detached = opensslSign(device, '-noattr')
    expect(verify(detached, { attributes: 'optional', detached: { content: body } }).content).toBeUndefined()
  })
})

describe('a detached signature, read before its content', () => {
  test.each([
    ...[
      ['RSA', 'sha1', ['-noattr']],
      ['RSA', 'sha256', ['-noattr']],
      ['RSA', 'sha512', ['-noattr', '-keyid']],
    ],
    ...[
      ['RSA', 'sha256', ['-noattr', '-keyopt', 'rsa_padding_mode:pss']],
      ['EC', 'sha1', ['-noattr']],
      ['EC', 'sha384', ['-noattr']],
    ],
    ...[
      ['RSA', 'sha1', ['-noattr', '-certfile', 'ca']],
      ['RSA', 'sha1', []],
    ],
  ] as const)('%s, %s, %j: is over this content, and no other', (kind, hash, options) => {
    const identity = kind === 'RSA' ? device : curve
    const message = opensslSign(identity, '-md', hash, ...options)
    expect(signerInPieces(message, body)).toBe(identity.certificate.fingerprint)
    for (const other of [Buffer.alloc(0), body.subarray(1), Buffer.concat([body, Buffer.of(0)])]) {
      expect(refusal(() => signerInPieces(message, other))?.code).toBe('cms_invalid')
    }
  })

  test('content that is the attributes of another signature is refused', async () => {
    const attributed = await signData({ content: body, signer: device, detached: true })
    const { signedAttributes } = readSignedData(attributed, 'der').signers[0]!
    const stolen = Buffer.from(signedAttributes!.encoded)
    stolen[0] = 0x31
    const stripped = opensslSign(device, '-noattr')
    expect(refusal(() => signerInPieces(stripped, stolen))?.message).toBe(
      'the content looks like signed attributes',
    )
  })

  test('a wrong signature over attributes is seen before any content', async () => {
    const message = await signData({ content: body, signer: device, detached: true })
    message[message.length - 5]! ^= 1
    expect(refusal(() => read(message))?.message).toBe('the signature is wrong')
  })
})

describe('our signatures', () => {
  const check = (message: Buffer, ...options: string[]) =>
    openssl(
      [
        'cms',
        '-verify',
        '-binary',
        '-inform',
        'DER',
        '-in',
        'm',
        '-CAfile',
        'ca',
        '-purpose',
        'any',
        ...options,
      ],
      { m: message, body, ca: writePem('CERTIFICATE', ca.certificate.der) },
    )

  test.each(['sha1', 'sha256', 'sha512'] as const)('openssl verifies them: %s', async (hash) => {
    for (const signer of [device, curve]) {
      const embedded = check(await signData({ content: body, signer, hash, signingTime: new Date() }))
      expect(embedded.stderr).toContain('CMS Verification successful')
      expect(embedded.stdout).toEqual(body)
      const detached = await signData({ content: body, signer, hash, detached: true })
      expect(check(detached, '-content', 'body').stderr).toContain('CMS Verification successful')
      expect(verify(detached, { detached: { content: body } }).signer.fingerprint).toBe(
        signer.certificate.fingerprint,
      )
    }
  })

  test('pkijs verifies them, and we verify those of pkijs', async () => {
    const ours = await signData({ content: body, signer: device, detached: true })
    const parsed = new pkijs.SignedData({ schema: pkijs.ContentInfo.fromBER(new Uint8Array(ours)).content })
    expect(await parsed.verify({ signer: 0, data: new Uint8Array(body).buffer, checkChain: false })).toBe(
      true,
    )

    const verified = verify(await pkijsSign(device), { encoding: 'ber' })
    expect(verified.content).toEqual(body)
    expect(verified.signer.fingerprint).toBe(device.certificate.fingerprint)
  })

  test('we verify those of node-forge', () => {
    const message = forge.pkcs7.createSignedData()
    message.content = forge.util.createBuffer(body.toString('binary'))
    const certificate = writePem('CERTIFICATE', device.certificate.der)
    message.addCertificate(certificate)
    message.addSigner({
      key: keyToPem(device.key),
      certificate,
      digestAlgorithm: forge.pki.oids['sha256'] ?? '',
      authenticatedAttributes: [
        { type: forge.pki.oids['contentType'] ?? '', value: forge.pki.oids['data'] ?? '' },
        { type: forge.pki.oids['messageDigest'] ?? '' },
      ],
    })
    message.sign()
    const der = Buffer.from(forge.asn1.toDer(message.toAsn1()).getBytes(), 'binary')
    expect(verify(der).content).toEqual(body)
  })

  test('a certs-only message is read by openssl and by us, in its order', () => {
    const message = degenerate([device.certificate, ca.certificate])
    const { stdout } = openssl(['pkcs7', '-inform', 'DER', '-in', 'm', '-print_certs'], { m: message })
    expect(stdout.toString()).toMatch(/subject=CN = device-1[\s\S]*subject=O = Acme, CN = Test CA/)
    expect(readCertificates(message)).toEqual([device.certificate.der, ca.certificate.der])
    expect(refusal(() => verify(message, { content: 'optional' }))?.message).toBe('the message has 0 signers')
  })
})

describe('changed messages', () => {
  test('never verify, and are refused as what they are', async () => {
    const detached = { content: body }
    for (const signer of [device, curve]) {
      const message = await signData({ content: body, signer, detached: true, signingTime: new Date() })
      await fc.assert(
        fc.asyncProperty(
          fc.nat(message.length - 1),
          fc.integer({ min: 1, max: 255 }),
          async (position, change) => {
            const changed = Buffer.from(message)
            changed[position] = (changed[position] ?? 0) ^ change
            const error = refusal(() => verify(changed, { detached }))
            if (error === undefined) {
              // What is left is what is not signed: an unused field, or the certificate, which its CA did not sign so.
              const { signer: found } = verify(changed, { detached })
              expect(found.publicKey().equals(signer.certificate.publicKey())).toBe(true)
              const same = found.fingerprint === signer.certificate.fingerprint
              expect(await found.signedBy(ca.certificate.publicKey())).toBe(same)
            } else expect(error.code).toBe('cms_invalid')
          },
        ),
        { numRuns: 500 },
      )
    }
  })

  test('are refused when cut or lengthened', async () => {
    const message = await signData({ content: body, signer: device, detached: true })
    for (let end = 0; end < message.length; end += 3) {
      expect(refusal(() => verify(message.subarray(0, end), { detached: { content: body } }))?.code).toBe(
        'cms_invalid',
      )
    }
    const longer = Buffer.concat([message, Buffer.of(0)])
    expect(refusal(() => verify(longer, { detached: { content: body } }))?.message).toContain(
      'bytes after the end',
    )
  })

  test('and random bytes are refused, strictly and tolerantly', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), fc.constantFrom('der', 'ber'), (bytes, encoding) => {
        expect(refusal(() => verify(bytes, { encoding }))?.code).toBe('cms_invalid')
      }),
      { numRuns: 1000 },
    )
  })
})

async function pkijsSign(identity: Identity): Promise<Buffer> {
  const certificate = pkijs.Certificate.fromBER(new Uint8Array(identity.certificate.der))
  const pkcs8 = identity.key.export({ format: 'der', type: 'pkcs8' })
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
  const key = await crypto.subtle.importKey('pkcs8', new Uint8Array(pkcs8), algorithm, false, ['sign'])
  const signed = new pkijs.SignedData({
    encapContentInfo: new pkijs.EncapsulatedContentInfo({
      eContentType: OID.data,
      eContent: new asn1js.OctetString({ valueHex: new Uint8Array(body).buffer }),
    }),
    signerInfos: [
      new pkijs.SignerInfo({
        version: 1,
        sid: new pkijs.IssuerAndSerialNumber({
          issuer: certificate.issuer,
          serialNumber: certificate.serialNumber,
        }),
        signedAttrs: new pkijs.SignedAndUnsignedAttributes({
          type: 0,
          attributes: [
            new pkijs.Attribute({
              type: OID.contentType,
              values: [new asn1js.ObjectIdentifier({ value: OID.data })],
            }),
            new pkijs.Attribute({
              type: OID.messageDigest,
              values: [
                new asn1js.OctetString({
                  valueHex: new Uint8Array(createHash('sha256').update(body).digest()).buffer,
                }),
              ],
            }),
          ],
        }),
      }),
    ],
    certificates: [certificate],
  })
  await signed.sign(key, 0, 'SHA-256')
  const info = new pkijs.ContentInfo({
    contentType: pkijs.ContentInfo.SIGNED_DATA,
    content: signed.toSchema(true),
  })
  return Buffer.from(info.toSchema().toBER())
}

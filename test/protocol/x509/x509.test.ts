import { X509Certificate, createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  createCsr,
  createLeaf,
  createSelfSignedCa,
  fingerprintOf,
  formatName,
  issueCertificate,
  keyMatches,
  nameAttribute,
  parseCertificate,
  parseCsr,
  spkiOf,
  validity,
  writePem,
} from '../../../src/protocol/x509/index.ts'
import type { Certificate, Identity } from '../../../src/protocol/x509/index.ts'
import { OID, octetString, sequence } from '../../../src/protocol/asn1/index.ts'
import { TEST_VALIDITY, testCa, testDevice } from '../../support/identities.ts'
import { testKey } from '../../support/keys.ts'
import { openssl } from '../../support/openssl.ts'
import { refusal } from '../../support/refusal.ts'

let ca: Identity
let device: Identity

beforeAll(async () => {
  ca = await testCa()
  device = await testDevice(ca, {
    subject: [
      ['UID', 'com.apple.mgmt.External.1'],
      ['serialNumber', 'C02ABC'],
      ['CN', 'Gerät "1", O=x'],
    ],
    keyUsage: ['digitalSignature', 'keyEncipherment'],
    extendedKeyUsage: [OID.clientAuth, OID.serverAuth],
    subjectAltNames: [
      { type: 'dns', value: 'mdm.example.com' },
      { type: 'ip', value: '127.0.0.1' },
      { type: 'ip', value: 'fe80::1' },
      { type: 'uri', value: 'urn:x' },
      { type: 'email', value: 'a@b.c' },
    ],
  })
})

describe('issued certificates', () => {
  test('openssl reads them as they were meant', () => {
    const { stdout, ok } = openssl(['x509', '-in', 'c', '-inform', 'DER', '-noout', '-text'], {
      c: device.certificate.der,
    })
    const text = stdout.toString()
    expect(ok).toBe(true)
    expect(text).toContain('Issuer: O = Acme, CN = Test CA')
    expect(text).toMatch(/Subject: UID = com\.apple\.mgmt\.External\.1, serialNumber = C02ABC, CN = "?Ger/)
    expect(text).toContain('CA:FALSE')
    expect(text).toMatch(/X509v3 Key Usage: critical\s+Digital Signature, Key Encipherment\n/)
    expect(text).toContain('TLS Web Client Authentication, TLS Web Server Authentication')
    expect(text).toContain(
      'DNS:mdm.example.com, IP Address:127.0.0.1, IP Address:FE80:0:0:0:0:0:0:1, URI:urn:x, email:a@b.c',
    )
    expect(text).toContain('Not After : Jan  1 00:00:00 2036 GMT')
  })

  test('openssl verifies them up to the CA, and not to another', async () => {
    const pem = (identity: Identity) => writePem('CERTIFICATE', identity.certificate.der)
    const stranger = await testCa({ subject: [['CN', 'Stranger']] })
    const verify = (trusted: Identity) =>
      openssl(['verify', '-x509_strict', '-no-CApath', '-CAfile', 'ca', 'leaf'], {
        ca: pem(trusted),
        leaf: pem(device),
      })
    expect(verify(ca)).toMatchObject({ ok: true })
    expect(verify(stranger).ok).toBe(false)
  })

  test('what is read is what node reads', async () => {
    for (const { certificate } of [ca, device]) {
      const reference = new X509Certificate(certificate.der)
      expect(certificate.fingerprint).toBe(reference.fingerprint256.replaceAll(':', '').toLowerCase())
      expect(certificate.fingerprint).toBe(fingerprintOf(certificate.der))
      expect(certificate.serialNumber).toBe(reference.serialNumber.toLowerCase())
      expect(certificate.notAfter).toEqual(reference.validToDate)
      expect(certificate.notBefore).toEqual(reference.validFromDate)
      expect(certificate.isCa).toBe(reference.ca)
      expect(certificate.publicKey().equals(reference.publicKey)).toBe(true)
      expect(await certificate.signedBy(ca.certificate.publicKey())).toBe(true)
      expect(await certificate.signedBy(createPublicKey(testKey('other')))).toBe(false)
      expect(await certificate.signedBy(createPublicKey(testKey('ec')))).toBe(false)
    }
  })

  test('what is read is what was written', () => {
    const { certificate } = device
    expect(nameAttribute(certificate.subject, OID.userId)).toBe('com.apple.mgmt.External.1')
    expect(nameAttribute(certificate.subject, OID.serialNumber)).toBe('C02ABC')
    expect(nameAttribute(certificate.subject, OID.organization)).toBeUndefined()
    expect(formatName(certificate.subject)).toBe(
      'UID=com.apple.mgmt.External.1, serialNumber=C02ABC, CN=Gerät "1", O=x',
    )
    expect([...(certificate.keyUsage ?? [])]).toEqual(['digitalSignature', 'keyEncipherment'])
    expect(certificate.extendedKeyUsage).toEqual([OID.clientAuth, OID.serverAuth])
    expect(certificate.subjectAltNames).toEqual([
      { type: 'dns', value: 'mdm.example.com' },
      { type: 'ip', value: '127.0.0.1' },
      { type: 'ip', value: 'fe80:0:0:0:0:0:0:1' },
      { type: 'uri', value: 'urn:x' },
      { type: 'email', value: 'a@b.c' },
    ])
    expect(certificate.issuerDer).toEqual(ca.certificate.subjectDer)
  })

  test('serial numbers are random, positive and short enough for RFC 5280', async () => {
    const spki = spkiOf(testKey('device'))
    const issue = () => issueCertificate({ issuer: ca, spki, subject: [['CN', 'x']], ...TEST_VALIDITY })
    const [one, two] = await Promise.all([issue(), issue()])
    expect(one.serialNumber).not.toBe(two.serialNumber)
    expect(one.serialBytes.length).toBe(17)
  })

  test('an EC issuer works as well', async () => {
    const issuer = await createLeaf({
      subject: [['CN', 'EC CA']],
      ca: {},
      keyUsage: ['keyCertSign'],
      key: testKey('ec'),
      ...TEST_VALIDITY,
    })
    const leaf = await testDevice(issuer)
    expect(await leaf.certificate.signedBy(issuer.certificate.publicKey())).toBe(true)
    expect(new X509Certificate(leaf.certificate.der).verify(issuer.certificate.publicKey())).toBe(true)
  })

  test('a new CA has an RSA key of its own and reaches from a little before now', async () => {
    const now = new Date('2026-05-05T05:05:05Z')
    const fresh = await createSelfSignedCa({ commonName: 'Device CA', organization: 'Acme', now, days: 10 })
    const { certificate, key } = fresh
    expect(certificate).toMatchObject({ isCa: true, notAfter: new Date('2026-05-15T05:05:05Z') })
    expect(certificate.notBefore).toEqual(new Date('2026-05-05T05:00:05Z'))
    expect(validity(now, 10)).toEqual({ notBefore: certificate.notBefore, notAfter: certificate.notAfter })
    expect(key.asymmetricKeyDetails?.modulusLength).toBe(2048)
    expect([...(certificate.keyUsage ?? [])]).toEqual([
      'digitalSignature',
      'keyEncipherment',
      'keyCertSign',
      'cRLSign',
    ])
    expect(keyMatches(certificate, key)).toBe(true)
    expect(keyMatches(certificate, testKey('other'))).toBe(false)
  })

  test('a name with a type that is none is refused', async () => {
    await expect(testDevice(ca, { subject: [['nonsense', 'x']] })).rejects.toMatchObject({
      code: 'x509_invalid',
    })
  })
})

describe('reading certificates', () => {
  test('openssl certificates are read, RSA and EC', async () => {
    for (const key of ['device', 'ec'] as const) {
      const pem = readFileSync(new URL(`../../fixtures/keys/${key}.pem`, import.meta.url))
      const args = [
        'req',
        '-x509',
        '-new',
        '-key',
        'k',
        '-subj',
        '/C=CH/O=Ä/CN=x',
        '-days',
        '3',
        '-out',
        'c',
        '-utf8',
      ]
      const { files } = openssl(args, { k: pem }, ['c'])
      const certificate = parseCertificate(files.c)
      expect(formatName(certificate.subject)).toBe('C=CH, O=Ä, CN=x')
      expect(keyMatches(certificate, testKey(key))).toBe(true)
      expect(await certificate.signedBy(certificate.publicKey())).toBe(true)
    }
  })

  test('one certificate is wanted, in DER or PEM', () => {
    const pem = writePem('CERTIFICATE', ca.certificate.der)
    expect(parseCertificate(pem).fingerprint).toBe(ca.certificate.fingerprint)
    expect(refusal(() => parseCertificate(pem + pem))?.message).toContain('more than one certificate')
    expect(refusal(() => parseCertificate('hello'))?.message).toContain('no certificate in DER or PEM')
    expect(refusal(() => parseCertificate(Buffer.alloc(0)))?.code).toBe('x509_invalid')
  })

  test('truncated, lengthened and foreign bytes are refused', () => {
    const { der } = ca.certificate
    for (let end = 0; end < der.length; end += 7) {
      expect(refusal(() => parseCertificate(der.subarray(0, end)))?.code).toBe('x509_invalid')
    }
    expect(refusal(() => parseCertificate(Buffer.concat([der, Buffer.of(0)])))?.message).toContain(
      'bytes after the end',
    )
    expect(refusal(() => parseCertificate(sequence(octetString(Buffer.alloc(5)))))?.message).toContain(
      'tag 0x4',
    )
    expect(refusal(() => parseCertificate(sequence(Buffer.alloc(70_000))))?.message).toContain(
      'more than 65536 bytes',
    )
  })

  test('a changed certificate is refused or not signed any more', async () => {
    const { der } = device.certificate
    const issuerKey = ca.certificate.publicKey()
    await fc.assert(
      fc.asyncProperty(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), async (position, change) => {
        const changed = Buffer.from(der)
        changed[position] = (changed[position] ?? 0) ^ change
        let read: Certificate | undefined
        const error = refusal(() => (read = parseCertificate(changed)))
        expect((await read?.signedBy(issuerKey)) ?? false).toBe(false)
        expect(error?.code ?? 'x509_invalid').toBe('x509_invalid')
      }),
      { numRuns: 400 },
    )
  })
})

describe('certificate requests', () => {
  test('openssl finds them right and as they were meant', async () => {
    const csr = await createCsr({
      subject: [['CN', 'device']],
      key: testKey('device'),
      challengePassword: 'one-time',
      keyUsage: ['digitalSignature'],
      subjectAltNames: [{ type: 'dns', value: 'a.example' }],
    })
    const result = openssl(['req', '-in', 'r', '-inform', 'DER', '-verify', '-noout', '-text'], { r: csr })
    expect(result.stderr).toContain('verify OK')
    expect(result.stdout.toString()).toMatch(/challengePassword\s*:one-time/)
    expect(result.stdout.toString()).toContain('DNS:a.example')
    const parsed = parseCsr(csr)
    expect(parsed).toMatchObject({ challengePassword: 'one-time', spki: spkiOf(testKey('device')) })
    expect(parsed.extensionRequest?.has(OID.subjectAltName)).toBe(true)
    expect(parsed.verify()).toBe(true)
  })

  test.each(['device', 'ec', 'weak'] as const)('openssl requests are read: %s', (name) => {
    const key = testKey(name)
    const files = { k: key.export({ format: 'pem', type: 'pkcs8' }), c: REQUEST_SETTINGS }
    const made = openssl(
      ['req', '-new', '-key', 'k', '-config', 'c', '-outform', 'DER', '-out', 'r'],
      files,
      ['r'],
    )
    const parsed = parseCsr(made.files.r)
    expect(formatName(parsed.subject)).toBe('CN=from openssl')
    expect(parsed.challengePassword).toBe('geheim')
    expect(parsed.verify()).toBe(true)
    expect(parsed.publicKey().equals(createPublicKey(key))).toBe(true)
  })

  test('a changed request is refused or does not verify', async () => {
    const csr = await createCsr({ subject: [['CN', 'd']], key: testKey('device'), challengePassword: 'ü' })
    expect(parseCsr(csr).challengePassword).toBe('ü')
    fc.assert(
      fc.property(fc.nat(csr.length - 1), fc.integer({ min: 1, max: 255 }), (position, change) => {
        const changed = Buffer.from(csr)
        changed[position] = (changed[position] ?? 0) ^ change
        let good = false
        const error = refusal(() => {
          good = parseCsr(changed).verify()
        })
        expect(good).toBe(false)
        expect(error?.code ?? 'csr_invalid').toBe('csr_invalid')
      }),
      { numRuns: 400 },
    )
  })

  test('truncated and random bytes are refused', async () => {
    const csr = await createCsr({ subject: [['CN', 'd']], key: testKey('device') })
    for (let end = 0; end < csr.length; end += 5) {
      expect(refusal(() => parseCsr(csr.subarray(0, end)))?.code).toBe('csr_invalid')
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(refusal(() => parseCsr(bytes))?.code).toBe('csr_invalid')
      }),
    )
  })

  test('keys that cost too much or are of another kind are refused', () => {
    const rsa = createPublicKey({
      key: { kty: 'RSA', e: 'AQAB', n: Buffer.alloc(1100, 0xff).toString('base64url') },
      format: 'jwk',
    })
    const algorithm = parseCsrParts(spkiOf(rsa))
    expect(refusal(() => parseCsr(algorithm).publicKey())?.message).toContain('8800 bits')
    const ed = 'MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE='
    expect(refusal(() => parseCsr(parseCsrParts(Buffer.from(ed, 'base64'))).publicKey())?.message).toContain(
      'type 1.3.101.112',
    )
  })
})

/** A request of the right shape around a key, with a signature of zeros. */
function parseCsrParts(spki: Buffer): Buffer {
  const info = sequence(Buffer.from('020100', 'hex'), sequence(), spki, Buffer.from('a000', 'hex'))
  const algorithm = Buffer.from('300d06092a864886f70d01010b0500', 'hex')
  return sequence(info, algorithm, Buffer.from('03020000', 'hex'))
}

const REQUEST_SETTINGS = `
[req]
prompt = no
distinguished_name = name
attributes = attributes
[name]
CN = from openssl
[attributes]
challengePassword = geheim
`

import { beforeAll, describe, expect, test } from 'vitest'
import {
  keyMatches,
  keyToPem,
  readPem,
  readPemBundle,
  readPkcs12,
  writePem,
} from '../../../src/protocol/x509/index.ts'
import type { Identity } from '../../../src/protocol/x509/index.ts'
import { testCa, testDevice } from '../../support/identities.ts'
import { testKey } from '../../support/keys.ts'
import { openssl } from '../../support/openssl.ts'
import { refusal } from '../../support/refusal.ts'

let ca: Identity
let device: Identity
const certificatePem = (identity: Identity) => writePem('CERTIFICATE', identity.certificate.der)

beforeAll(async () => {
  ca = await testCa()
  device = await testDevice(ca)
})

describe('PEM', () => {
  test('blocks are found between other text, with any line ends and a byte order mark', () => {
    const text = `\uFEFFBag Attributes\n  friendlyName: x\n${certificatePem(device)}junk\n${keyToPem(device.key)}`
    for (const variant of [
      text,
      text.replaceAll('\n', '\r\n'),
      Buffer.from(text),
      Buffer.from(text.replaceAll('\n', '\r')),
    ]) {
      const blocks = readPem(variant)
      expect(blocks.map(({ label }) => label)).toEqual(['CERTIFICATE', 'PRIVATE KEY'])
      expect(blocks[0]?.der).toEqual(device.certificate.der)
    }
  })

  test.each([
    ['-----BEGIN CERTIFICATE-----\nAAAA', 'CERTIFICATE has no end'],
    ['-----BEGIN A-----\n-----BEGIN B-----\n', 'A has no end'],
    ['-----END CERTIFICATE-----', 'without its beginning'],
    ['-----BEGIN A-----\nAAAA\n-----END B-----', 'without its beginning'],
    ['-----BEGIN A-----\n%%%\n-----END A-----', 'A is no base64'],
    ['-----BEGIN A-----\n-----END A-----', 'A is no base64'],
    ['x'.repeat(1024 * 1024 + 1), 'more than 1048576 bytes'],
  ])('%.40s is refused', (text, reason) => {
    const error = refusal(() => readPem(text))
    expect(error?.code).toBe('x509_invalid')
    expect(error?.message).toContain(reason)
  })
})

describe('PEM bundles', () => {
  test('the key is taken in all its forms', () => {
    const forms = [
      keyToPem(device.key),
      device.key.export({ format: 'pem', type: 'pkcs1' }).toString(),
      testKey('ec').export({ format: 'pem', type: 'sec1' }).toString(),
    ]
    const keys = forms.map((form) => readPemBundle(form + certificatePem(device) + certificatePem(ca)))
    expect(keys.map(({ certificates }) => certificates.length)).toEqual([2, 2, 2])
    expect(keys.map(({ key }) => key !== undefined && keyMatches(device.certificate, key))).toEqual([
      true,
      true,
      false,
    ])
    expect(readPemBundle(certificatePem(ca)).key).toBeUndefined()
  })

  test.each([
    [
      'an encrypted key',
      () => device.key.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-128-cbc', passphrase: 'x' }),
      'is encrypted',
    ],
    [
      'an old encrypted key',
      () => device.key.export({ format: 'pem', type: 'pkcs1', cipher: 'aes-128-cbc', passphrase: 'x' }),
      'is encrypted',
    ],
    ['two keys', () => keyToPem(device.key) + keyToPem(ca.key), 'more than one private key'],
    ['a key that is none', () => writePem('PRIVATE KEY', Buffer.alloc(20)), 'cannot be read'],
    [
      'a key of another kind',
      () => writePem('DSA PRIVATE KEY', Buffer.alloc(20)),
      'DSA PRIVATE KEY is not supported',
    ],
    ['a certificate that is none', () => writePem('CERTIFICATE', Buffer.alloc(20)), 'this is no certificate'],
  ])('%s is refused', (_, text, reason) => {
    const error = refusal(() => readPemBundle(text().toString()))
    expect(error?.code).toBe('x509_invalid')
    expect(error?.message).toContain(reason)
  })
})

describe('PKCS#12', () => {
  const make = (identity: Identity, ...options: string[]): Buffer => {
    const files = { k: keyToPem(identity.key), c: certificatePem(identity), ca: certificatePem(ca) }
    const args = [
      'pkcs12',
      '-export',
      '-inkey',
      'k',
      '-in',
      'c',
      '-certfile',
      'ca',
      '-out',
      'p',
      '-passout',
      'pass:Pä55',
    ]
    const made = openssl([...args, ...options], files, ['p'])
    expect(made.stderr).toBe('')
    return made.files.p
  }

  test.each([
    ['AES and SHA-256', []],
    ['triple DES and SHA-1', ['-keypbe', 'PBE-SHA1-3DES', '-certpbe', 'PBE-SHA1-3DES', '-macalg', 'sha1']],
    ['RC2, as old tools do', ['-legacy']],
  ])('is read: %s', (_, options) => {
    const { certificates, key } = readPkcs12(make(device, ...options), 'Pä55')
    const wanted = [device.certificate.fingerprint, ca.certificate.fingerprint]
    expect(certificates.map(({ fingerprint }) => fingerprint)).toEqual(wanted)
    expect(key?.equals(device.key)).toBe(true)
  })

  test('an EC key is read', async () => {
    const curve = await testDevice(ca, {}, 'ec')
    const { certificates, key } = readPkcs12(make(curve), 'Pä55')
    expect(certificates[0]?.fingerprint).toBe(curve.certificate.fingerprint)
    expect(key?.equals(curve.key)).toBe(true)
  })

  test('a file that would keep the server busy is refused', () => {
    const error = refusal(() => readPkcs12(make(device, '-iter', '100001'), 'Pä55'))
    expect(error?.message).toContain('more than 100000 rounds')
    const mac = refusal(() => readPkcs12(make(device, '-iter', '2', '-maciter', '-legacy'), 'Pä55'))
    expect(mac).toBeUndefined()
  })

  test('a wrong password is told apart from a file that is none', () => {
    const file = make(device)
    const fieldOf = (bytes: Uint8Array, password: string) =>
      refusal(() => readPkcs12(bytes, password))?.fields[0]?.path
    expect(fieldOf(file, 'wrong')).toBe('password')
    expect(fieldOf(file, '')).toBe('password')
    expect(fieldOf(Buffer.from('not a file'), 'Pä55')).toBe('pkcs12')
    expect(fieldOf(file.subarray(0, 500), 'Pä55')).toBe('pkcs12')
    expect(fieldOf(device.certificate.der, 'Pä55')).toBe('pkcs12')
    expect(fieldOf(Buffer.alloc(300 * 1024), 'Pä55')).toBe('pkcs12')
  })
})

import { beforeAll, describe, expect, test } from 'vitest'
import { createLeaf, issueCertificate, spkiOf, verifyChain } from '../../../src/protocol/x509/index.ts'
import type { Certificate, Identity } from '../../../src/protocol/x509/index.ts'
import { publicKeyOf } from '../../../src/protocol/x509/public-key.ts'
import { rsaSpki } from '../../support/rsa-keys.ts'
import { TEST_VALIDITY, testCa, testDevice } from '../../support/identities.ts'
import { testKey } from '../../support/keys.ts'

const at = new Date('2027-01-01T00:00:00Z')
let ca: Identity
let intermediate: Identity
let leaf: Certificate

beforeAll(async () => {
  ca = await testCa()
  intermediate = await createLeaf({
    issuer: ca,
    key: testKey('other'),
    subject: [['CN', 'Intermediate']],
    keyUsage: ['keyCertSign'],
    ca: { pathLength: 0 },
    ...TEST_VALIDITY,
  })
  leaf = (await testDevice(intermediate)).certificate
})

describe('a chain is good', () => {
  test('directly and through an intermediate, in order', async () => {
    const direct = (await testDevice(ca)).certificate
    expect(await verifyChain(direct, { trusted: [ca.certificate], at })).toEqual({
      ok: true,
      chain: [direct, ca.certificate],
    })
    const { certificate } = intermediate
    expect(await verifyChain(leaf, { trusted: [ca.certificate], intermediates: [certificate], at })).toEqual({
      ok: true,
      chain: [leaf, certificate, ca.certificate],
    })
  })

  test('when the intermediate itself is trusted', async () => {
    expect((await verifyChain(leaf, { trusted: [intermediate.certificate], at })).ok).toBe(true)
  })

  test('when one of several CAs of the same name made it', async () => {
    const namesake = await testCa({}).then(async ({ certificate }) =>
      createLeaf({
        subject: [
          ['O', 'Acme'],
          ['CN', 'Test CA'],
        ],
        key: testKey('other'),
        ca: {},
        keyUsage: ['keyCertSign'],
        ...TEST_VALIDITY,
        serialNumber: certificate.serialBytes,
      }),
    )
    const direct = (await testDevice(ca)).certificate
    expect((await verifyChain(direct, { trusted: [namesake.certificate, ca.certificate], at })).ok).toBe(true)
    expect(await verifyChain(direct, { trusted: [namesake.certificate], at })).toMatchObject({
      reason: 'bad_signature',
    })
  })

  test('outside its dates when dates do not count', async () => {
    const options = { trusted: [ca.certificate], intermediates: [intermediate.certificate] }
    const later = new Date('2040-01-01T00:00:00Z')
    expect(await verifyChain(leaf, { ...options, at: later })).toMatchObject({ reason: 'expired' })
    expect(await verifyChain(leaf, { ...options, at: new Date(0) })).toMatchObject({
      reason: 'not_yet_valid',
    })
    expect((await verifyChain(leaf, { ...options, at: null })).ok).toBe(true)
  })
})

describe('a chain is not good', () => {
  test('without its intermediate', async () => {
    expect(await verifyChain(leaf, { trusted: [ca.certificate], at })).toMatchObject({
      ok: false,
      reason: 'untrusted_issuer',
      message: 'nobody trusted is the issuer CN=Intermediate',
    })
  })

  test('when it ends in a CA that is in the message alone', async () => {
    const intermediates = [intermediate.certificate, ca.certificate]
    expect(await verifyChain(leaf, { trusted: [], intermediates, at })).toMatchObject({
      reason: 'untrusted_issuer',
    })
  })

  test('for a trusted certificate that stands for itself', async () => {
    const self = (await testDevice()).certificate
    expect(await verifyChain(self, { trusted: [self], at })).toMatchObject({ ok: false })
  })

  test('when the issuer is a device', async () => {
    const device = await testDevice(ca, { keyUsage: ['digitalSignature', 'keyCertSign'] })
    const forged = (await testDevice(device, { subject: [['CN', 'forged']] }, 'other')).certificate
    const result = await verifyChain(forged, {
      trusted: [ca.certificate],
      intermediates: [device.certificate],
      at,
    })
    expect(result).toMatchObject({ reason: 'issuer_not_ca', message: 'CN=device-1 is no CA' })
  })

  test('when the CA may not sign certificates', async () => {
    const mute = await testCa({ keyUsage: ['digitalSignature'] })
    const issued = (await testDevice(mute)).certificate
    expect(await verifyChain(issued, { trusted: [mute.certificate], at })).toMatchObject({
      reason: 'issuer_not_ca',
      message: 'O=Acme, CN=Test CA may not sign certificates',
    })
  })

  test('when there are more CAs than the path length allows', async () => {
    const below = await createLeaf({
      issuer: intermediate,
      key: testKey('ec'),
      subject: [['CN', 'Below']],
      ca: {},
      keyUsage: ['keyCertSign'],
      ...TEST_VALIDITY,
    })
    const deep = (await testDevice(below)).certificate
    const intermediates = [below.certificate, intermediate.certificate]
    expect(await verifyChain(deep, { trusted: [ca.certificate], intermediates, at })).toMatchObject({
      reason: 'issuer_not_ca',
      message: 'CN=Intermediate may not have that many CAs below it',
    })
  })

  test('when the intermediate has expired', async () => {
    const old = await createLeaf({
      issuer: ca,
      key: testKey('other'),
      subject: [['CN', 'Intermediate']],
      ca: {},
      keyUsage: ['keyCertSign'],
      notBefore: TEST_VALIDITY.notBefore,
      notAfter: new Date('2026-06-01T00:00:00Z'),
    })
    const result = await verifyChain(leaf, {
      trusted: [ca.certificate],
      intermediates: [old.certificate],
      at,
    })
    expect(result).toMatchObject({ reason: 'expired' })
  })

  test('and a tangle of CAs that name each other ends', async () => {
    const issue = async (subject: string, key: 'other' | 'ec', issuer: Identity) =>
      createLeaf({
        issuer,
        key: testKey(key),
        subject: [['CN', subject]],
        ca: {},
        keyUsage: ['keyCertSign'],
        ...TEST_VALIDITY,
      })
    const a = await issue('A', 'other', ca)
    const b = await issue('B', 'ec', a)
    const loop: Certificate[] = []
    for (let index = 0; index < 8; index++)
      loop.push((await issue('A', 'other', b)).certificate, (await issue('B', 'ec', a)).certificate)
    const tangled = await issueCertificate({
      issuer: b,
      spki: spkiOf(testKey('device')),
      subject: [['CN', 'x']],
      ...TEST_VALIDITY,
    })
    expect(await verifyChain(tangled, { trusted: [], intermediates: loop, at })).toMatchObject({
      reason: 'untrusted_issuer',
      message: 'the chain is too long',
    })
  })

  test('and no more than four signatures are checked with keys that came along', async () => {
    const checked: string[] = []
    const key = ca.certificate.publicKey()
    const pretended = (name: string): Certificate => ({
      ...intermediate.certificate,
      fingerprint: name,
      publicKey: () => key,
    })
    const watched: Certificate = {
      ...leaf,
      signedBy: async () => (checked.push('leaf'), false),
    }
    const intermediates = Array.from({ length: 16 }, (_, n) => pretended(String(n)))
    expect(await verifyChain(watched, { trusted: [ca.certificate], intermediates, at })).toMatchObject({
      message: 'the chain is too long',
    })
    expect(checked).toHaveLength(4)
  })

  test('a CA whose key is of no kind that is taken signs nothing', async () => {
    const strange: Certificate = {
      ...intermediate.certificate,
      publicKey: () => publicKeyOf(rsaSpki((1n << 8191n) + 1n, 65_537n), 'x509_invalid'),
    }
    expect(await verifyChain(leaf, { trusted: [strange], at })).toMatchObject({
      reason: 'unsupported_key',
      message: 'CN=Intermediate: an RSA key of 8192 bits is not supported',
    })
  })
})

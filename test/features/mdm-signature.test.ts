import { afterAll, beforeAll, expect, test } from 'vitest'
import { signData } from '../../src/protocol/cms/index.ts'
import { createLeaf, keyToPem, writePem, type Identity } from '../../src/protocol/x509/index.ts'
import { describeEachEngine } from '../support/database.ts'
import { TEST_VALIDITY } from '../support/identities.ts'
import { identityServer, type IdentityServer } from '../support/identity-server.ts'
import { testKey } from '../support/keys.ts'
import { openssl } from '../support/openssl.ts'
import { momentary, scepRequest } from '../support/scep-client.ts'

const BODY = Buffer.from('<plist version="1.0"><dict><key>Status</key><string>Idle</string></dict></plist>')

describeEachEngine('Mdm-Signature', (database) => {
  let server: IdentityServer
  let device: Identity
  beforeAll(async () => {
    server = await identityServer(database())
    const { challenge } = await server.challengeFor()
    const { certificate } = await scepRequest(server, { challenge })
    device = { certificate: certificate!, key: testKey('device') }
  })
  afterAll(() => server.close())

  const sign = async (options: Partial<Parameters<typeof signData>[0]> = {}) =>
    (await signData({ content: BODY, detached: true, signer: device, ...options })).toString('base64')
  const verify = (header: string, body = BODY) => server.identity.verifySignature(header, body)

  test('of a device of ours names its certificate, by every digest that is in use', async () => {
    const fingerprint = Buffer.from(device.certificate.fingerprint, 'hex')
    for (const hash of ['sha1', 'sha256', 'sha384', 'sha512'] as const) {
      expect(await verify(await sign({ hash }))).toEqual({ fingerprint })
    }
    expect(await verify(` ${await sign()} `)).toEqual({ fingerprint })
  })

  test.each(['definite', 'indefinite'])(
    'of openssl, in %s lengths as devices write them',
    async (lengths) => {
      const made = openssl(
        [
          ...['cms', '-sign', '-binary', '-in', 'body', '-signer', 'cert.pem', '-inkey', 'key.pem'],
          ...['-md', 'sha256', '-outform', 'DER', '-out', 'signature'],
        ],
        {
          body: BODY,
          'cert.pem': writePem('CERTIFICATE', device.certificate.der),
          'key.pem': keyToPem(device.key),
        },
        ['signature'],
      )
      expect(made.stderr).toBe('')
      const { signature } = made.files
      const message = lengths === 'definite' ? signature : withIndefiniteLengths(signature)
      expect(await verify(message.toString('base64'))).toHaveProperty('fingerprint')
    },
  )

  test.each([
    ['sha1', 'definite'],
    ['sha1', 'indefinite'],
    ['sha256', 'definite'],
  ])('without signed attributes, by %s in %s lengths, as Macs make it', async (hash, lengths) => {
    const made = openssl(
      [
        ...[
          'cms',
          '-sign',
          '-noattr',
          '-md',
          hash,
          '-binary',
          '-in',
          'body',
          '-signer',
          'cert.pem',
          '-inkey',
          'key.pem',
        ],
        ...['-outform', 'der', '-out', 'signature'],
      ],
      {
        body: BODY,
        'cert.pem': writePem('CERTIFICATE', device.certificate.der),
        'key.pem': keyToPem(device.key),
      },
      ['signature'],
    )
    expect(made.stderr).toBe('')
    const { signature } = made.files
    const message = lengths === 'definite' ? signature : withIndefiniteLengths(signature)
    const header = message.toString('base64')
    expect(await verify(header)).toHaveProperty('fingerprint')
    expect(await verify(header, Buffer.from('another body'))).toMatchObject({ problem: 'bad_signature' })
  })

  test('in base64 with line breaks and spaces, and in the URL-safe alphabet', async () => {
    const header = await sign()
    for (const written of [
      header.replaceAll(/.{64}/g, '$&\n'),
      header.replaceAll(/.{60}/g, '$&\r\n\t'),
      header.replaceAll('+', '-').replaceAll('/', '_'),
      header.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', ''),
    ]) {
      expect(await verify(written)).toHaveProperty('fingerprint')
    }
  })

  test('is known before the body, and then compared with it in pieces', async () => {
    const credentials = async (options = {}) => ({
      clientCertificate: undefined,
      signature: await sign(options),
    })
    const proof = await server.identity.prove(await credentials())
    expect(proof?.fingerprint).toEqual(Buffer.from(device.certificate.fingerprint, 'hex'))
    for (const byte of BODY) proof?.body?.update(Buffer.of(byte))
    expect(await server.identity.identifyCaller(await credentials(), BODY, proof)).toEqual({
      fingerprint: proof?.fingerprint,
    })
    const another = await server.identity.prove(await credentials())
    another?.body?.update(Buffer.from('another body'))
    expect(await server.identity.identifyCaller(await credentials(), BODY, another)).toMatchObject({
      problem: 'bad_signature',
    })
  })

  test('nobody shows to be ours by a stranger’s signature or certificate, or by none', async () => {
    const stranger = await momentary(testKey('device'))
    const signature = await sign({ signer: stranger })
    const broken = Buffer.from(await sign(), 'base64')
    broken[broken.length - 5]! ^= 1
    for (const credentials of [
      { clientCertificate: undefined, signature: undefined },
      { clientCertificate: undefined, signature },
      { clientCertificate: stranger.certificate.der, signature: undefined },
      { clientCertificate: stranger.certificate.der, signature },
      { clientCertificate: Buffer.from('nothing'), signature: '*' },
      { clientCertificate: undefined, signature: broken.toString('base64') },
    ]) {
      expect(await server.identity.prove(credentials)).toBeUndefined()
    }
    const own = { clientCertificate: device.certificate.der, signature }
    expect(await server.identity.prove(own)).toMatchObject({ body: undefined })
  })

  test('what is not a signature over this body is refused with a word', async () => {
    const header = await sign()
    expect(await verify(header, Buffer.from('another body'))).toMatchObject({ problem: 'bad_signature' })
    expect(await verify(await sign({ detached: false }))).toMatchObject({ problem: 'bad_signature' })
    const changed = Buffer.from(header, 'base64')
    changed[changed.length - 5]! ^= 1
    expect(await verify(changed.toString('base64'))).toMatchObject({ problem: 'bad_signature' })
    const spoiled = ['*', '-', '_', '=', ' ', '\u00e9', '\u0100'].map(
      (letter) => `${header.slice(0, 40)}${letter}${header.slice(41)}`,
    )
    const odd = ['', '*', 'AAA', 'A===', 'AA=A', '====', `${header}\n${header}`, 'A'.repeat(100_000)]
    for (const bad of [...odd, ...spoiled]) {
      expect(await verify(bad)).toMatchObject({ problem: 'malformed' })
    }
    expect(await verify('AAAA')).toMatchObject({ problem: 'bad_signature' })
  })

  test('by a stranger, or by a certificate that merely names our CA, is foreign', async () => {
    const stranger = await momentary(testKey('device'))
    expect(await verify(await sign({ signer: stranger }))).toMatchObject({ problem: 'foreign' })
    const namesake = await createLeaf({
      subject: [
        ['O', 'Acme'],
        ['CN', 'Test CA'],
      ],
      ca: {},
      keyUsage: ['keyCertSign'],
      key: testKey('other'),
      ...TEST_VALIDITY,
    })
    const forged = await createLeaf({
      subject: [['CN', 'x']],
      issuer: namesake,
      key: testKey('device'),
      ...TEST_VALIDITY,
    })
    expect(await verify(await sign({ signer: forged }))).toMatchObject({ problem: 'foreign' })
    const found = await server.identity.identify(forged.certificate.der, server.clock.now())
    expect(found).toMatchObject({ problem: 'foreign' })
    const nothing = await server.identity.identify(Buffer.from('no certificate'), server.clock.now())
    expect(nothing).toMatchObject({ problem: 'foreign' })
  })

  test('dates are looked at each time, also of a certificate that is remembered', async () => {
    const header = await sign()
    expect(await verify(header)).toHaveProperty('fingerprint')
    const early = new Date(device.certificate.notBefore.getTime() - 1000)
    expect(await server.identity.identify(device.certificate.der, early)).toMatchObject({
      problem: 'not_yet_valid',
    })
    server.clock.advance(366, 'day')
    expect(await verify(header)).toMatchObject({ problem: 'expired' })
  })

  test('a profile is signed by a certificate of the CA, as openssl finds too', async () => {
    const signed = await server.identity.signProfile(Buffer.from('<plist/>'))
    const ca = writePem('CERTIFICATE', server.identity.caCertificate())
    const args = ['cms', '-verify', '-inform', 'DER', '-in', 'signed', '-CAfile', 'ca.pem', '-purpose', 'any']
    const checked = openssl([...args, '-attime', '1780315200'], { signed, 'ca.pem': ca })
    expect(checked).toMatchObject({ ok: true })
    expect(checked.stdout.toString()).toBe('<plist/>')
  })
})

/** The outermost two levels of a CMS message (a header of 4 bytes each around an OID of 11) rewritten. */
function withIndefiniteLengths(message: Buffer): Buffer {
  const end = Buffer.alloc(2)
  const oid = message.subarray(4, 15)
  return Buffer.concat([Buffer.of(0x30, 0x80), oid, Buffer.of(0xa0, 0x80), message.subarray(19), end, end])
}

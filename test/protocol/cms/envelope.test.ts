import fc from 'fast-check'
import * as pkijs from 'pkijs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AppError } from '../../../src/kernel/errors.ts'
import { createKeyUnwrapper, envelop, openEnvelope } from '../../../src/protocol/cms/index.ts'
import { keyToPem, writePem } from '../../../src/protocol/x509/index.ts'
import type { Identity } from '../../../src/protocol/x509/index.ts'
import { testCa, testDevice } from '../../support/identities.ts'
import { openssl } from '../../support/openssl.ts'

const content = Buffer.from('a certificate request, or Apple’s token')
const { unwrap, close } = createKeyUnwrapper({ threads: 1 })
let identity: Identity
let stranger: Identity

beforeAll(async () => {
  identity = await testCa()
  stranger = await testDevice(undefined, {}, 'other')
})
afterAll(close)

const open = (message: Uint8Array, by = identity) => openEnvelope(message, { identity: by, unwrap })

async function reasonOf(message: Uint8Array, by?: Identity): Promise<string | undefined> {
  try {
    await open(message, by)
    return undefined
  } catch (error) {
    if (error instanceof AppError) return `${error.code}: ${error.message}`
    throw error
  }
}

function opensslEncrypt(cipher: string, options: readonly string[] = []): Buffer {
  const c = writePem('CERTIFICATE', identity.certificate.der)
  const args = [
    'cms',
    '-encrypt',
    '-binary',
    '-in',
    'm',
    '-outform',
    'DER',
    '-out',
    'e',
    cipher,
    '-recip',
    'c',
  ]
  const { files, stderr } = openssl([...args, ...options], { m: content, c }, ['e'])
  expect(stderr).toBe('')
  return files.e
}

describe('envelopes of openssl are opened', () => {
  const legacy = ['-provider', 'legacy', '-provider', 'default']
  test.each([
    ['-des-ede3-cbc', 'des-ede3-cbc', []],
    ['-aes-128-cbc', 'aes-128-cbc', []],
    ['-aes-192-cbc', 'aes-192-cbc', ['-keyid']],
    ['-aes-256-cbc', 'aes-256-cbc', ['-stream']],
    ['-des-cbc', 'des-cbc', legacy],
    ['-aes-256-cbc', 'aes-256-cbc', ['-keyopt', 'rsa_padding_mode:oaep']],
    ['-aes-128-cbc', 'aes-128-cbc', ['-keyopt', 'rsa_padding_mode:oaep', '-keyopt', 'rsa_oaep_md:sha256']],
  ] as const)('%s as %s, %j', async (flag, cipher, options) => {
    expect(await open(opensslEncrypt(flag, options))).toEqual({ content, cipher })
  })

  test('and those of pkijs', async () => {
    const message = new pkijs.EnvelopedData()
    const recipient = pkijs.Certificate.fromBER(new Uint8Array(identity.certificate.der))
    message.addRecipientByCertificate(recipient, { oaepHashAlgorithm: 'SHA-256' })
    const algorithm = { name: 'AES-CBC', length: 128 } as Parameters<typeof message.encrypt>[0]
    await message.encrypt(algorithm, new Uint8Array(content).buffer)
    const info = new pkijs.ContentInfo({
      contentType: pkijs.ContentInfo.ENVELOPED_DATA,
      content: message.toSchema(),
    })
    const opened = await open(Buffer.from(info.toSchema().toBER()))
    expect(opened).toEqual({ content, cipher: 'aes-128-cbc' })
  })
})

describe('our envelopes', () => {
  test.each([
    ['des-ede3-cbc', undefined],
    ['aes-128-cbc', undefined],
    ['aes-192-cbc', undefined],
    ['aes-256-cbc', undefined],
    ['aes-256-cbc', 'sha1'],
    ['aes-256-cbc', 'sha256'],
  ] as const)('are decrypted by openssl: %s, OAEP %s', (cipher, oaepHash) => {
    const message = envelop(content, {
      recipient: identity.certificate,
      cipher,
      ...(oaepHash && { oaepHash }),
    })
    const files = {
      e: message,
      c: writePem('CERTIFICATE', identity.certificate.der),
      k: keyToPem(identity.key),
    }
    const args = ['cms', '-decrypt', '-binary', '-in', 'e', '-inform', 'DER', '-recip', 'c', '-inkey', 'k']
    expect(openssl(args, files)).toMatchObject({ ok: true, stdout: content })
  })

  test('are opened by us, whatever is inside', async () => {
    const ciphers = fc.constantFrom('des-cbc', 'des-ede3-cbc', 'aes-128-cbc', 'aes-192-cbc', 'aes-256-cbc')
    await fc.assert(
      fc.asyncProperty(ciphers, fc.uint8Array({ maxLength: 300 }), async (cipher, bytes) => {
        const opened = await open(envelop(bytes, { recipient: identity.certificate, cipher }))
        expect(opened).toEqual({ content: Buffer.from(bytes), cipher })
      }),
      { numRuns: 50 },
    )
  })

  test('are for RSA keys', async () => {
    const curve = await testDevice(undefined, {}, 'ec')
    expect(() => envelop(content, { recipient: curve.certificate, cipher: 'aes-128-cbc' })).toThrow(
      'has no RSA key',
    )
    expect(await reasonOf(opensslEncrypt('-aes-128-cbc'), curve)).toBe(
      'cms_invalid: envelopes need an RSA key',
    )
  })
})

describe('refusals', () => {
  const failed = 'cms_invalid: the envelope cannot be decrypted'

  test('another recipient is told', async () => {
    expect(await reasonOf(opensslEncrypt('-aes-128-cbc'), stranger)).toBe(
      'cms_invalid: the envelope is for another certificate',
    )
  })

  test('a wrong key, a changed key, a changed or cut ciphertext all look alike', async () => {
    const message = envelop(content, { recipient: identity.certificate, cipher: 'aes-128-cbc' })
    // Once in 256 times what a wrong key makes of the last block happens to end as it should; then it is other content.
    const looksAlike = async (changed: Uint8Array, by?: Identity) => {
      const reason = await reasonOf(changed, by)
      if (reason === undefined) expect((await open(changed, by)).content).not.toEqual(content)
      else expect(reason).toBe(failed)
    }
    await looksAlike(message, { certificate: identity.certificate, key: stranger.key })
    const flipped = (fromEnd: number) => {
      const changed = Buffer.from(message)
      changed[message.length - fromEnd] = (changed.at(-fromEnd) ?? 0) ^ 0x80
      return changed
    }
    await looksAlike(flipped(1))
    expect(await reasonOf(flipped(17))).toBe(failed)
    expect(await reasonOf(flipped(40))).toBe(undefined)
    const at = message.indexOf(Buffer.from('04820100', 'hex')) + 4
    for (const fill of [0x00, 0x01, 0xff]) await looksAlike(Buffer.from(message).fill(fill, at, at + 256))
  })

  test('other key transports, ciphers and vectors are told', async () => {
    const message = envelop(content, { recipient: identity.certificate, cipher: 'aes-128-cbc' })
    const replace = (from: string, to: string) => {
      const changed = Buffer.from(message)
      const at = message.lastIndexOf(Buffer.from(from, 'hex'))
      expect(at).toBeGreaterThan(0)
      Buffer.from(to, 'hex').copy(changed, at)
      return changed
    }
    const cipher = replace('608648016503040102', '608648016503040106')
    expect(await reasonOf(cipher)).toContain('content cipher 2.16.840.1.101.3.4.1.6 is not supported')
    const transport = replace('2a864886f70d010101', '2a864886f70d01010f')
    expect(await reasonOf(transport)).toContain('key transport 1.2.840.113549.1.1.15 is not supported')
    const triple = replace('608648016503040102', '608648016503040116')
    expect(await reasonOf(triple)).toBe(failed)
  })

  test('truncated and changed messages never give the content, random bytes nothing', async () => {
    const message = envelop(content, { recipient: identity.certificate, cipher: 'aes-256-cbc' })
    for (let end = 0; end < message.length; end += 5) {
      expect(await reasonOf(message.subarray(0, end))).toContain('cms_invalid')
    }
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        expect(await reasonOf(bytes)).toContain('cms_invalid')
      }),
    )
  })
})

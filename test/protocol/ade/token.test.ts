import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { AppError } from '../../../src/kernel/errors.ts'
import { createTokenKeyPair, openServerToken, sealServerToken } from '../../../src/protocol/ade/index.ts'
import type { ServerToken } from '../../../src/protocol/ade/index.ts'
import { envelop } from '../../../src/protocol/cms/index.ts'
import { keyToPem, writePem } from '../../../src/protocol/x509/index.ts'
import type { Identity } from '../../../src/protocol/x509/index.ts'
import { openssl } from '../../support/openssl.ts'

const now = new Date('2026-11-25T10:00:00Z')
const token: ServerToken = {
  consumerKey: 'CK_0a1b2c',
  consumerSecret: 'CS_9f8e7d',
  accessToken: 'AT_11aa22',
  accessSecret: 'AS_bb33cc',
  expiresAt: new Date('2027-06-01T12:00:00Z'),
}
const JSON_TEXT = JSON.stringify({
  consumer_key: token.consumerKey,
  consumer_secret: token.consumerSecret,
  access_token: token.accessToken,
  access_secret: token.accessSecret,
  access_token_expiry: '2027-06-01T12:00:00Z',
})

let ours: Identity
let other: Identity
let pem: string

beforeAll(async () => {
  ;[ours, other] = await Promise.all([
    createTokenKeyPair({ name: 'Head office', now }),
    createTokenKeyPair({ name: 'Another', now }),
  ])
  pem = writePem('CERTIFICATE', ours.certificate.der)
})

async function reasonOf(file: Uint8Array | string, keys: readonly Identity[] = [ours]): Promise<string> {
  const error: unknown = await openServerToken(Buffer.from(file), keys).catch((reason: unknown) => reason)
  if (!(error instanceof AppError)) throw new Error('no refusal', { cause: error })
  return `${error.code}: ${error.message}`
}

const seal = (content: string) =>
  envelop(Buffer.from(content), { recipient: ours.certificate, cipher: 'aes-256-cbc' })

test('the key for Apple: RSA-2048, two years, for encryption', () => {
  const { certificate } = ours
  expect(certificate.keyUsage).toEqual(new Set(['digitalSignature', 'keyEncipherment']))
  expect(certificate.publicKey().asymmetricKeyDetails?.modulusLength).toBe(2048)
  expect(certificate.notBefore < now).toBe(true)
  expect(certificate.notAfter.toISOString()).toBe('2028-11-24T10:00:00.000Z')
  const read = openssl(['x509', '-in', 'key.pem', '-noout', '-subject'], { 'key.pem': pem })
  expect(read.stdout.toString()).toContain('Head office')
})

describe('the forms in which the file comes', () => {
  test("the portal's own, whatever happened to its line ends, with the key it was made for", async () => {
    const file = sealServerToken(token, ours.certificate)
    expect(file).toMatch(/^Content-Type: application\/pkcs7-mime; .*\r\n[^]*\r\n\r\n[A-Za-z0-9+/=\r\n]+$/)
    const forms = [
      file,
      file.replaceAll('\r\n', '\n'),
      `\uFEFF${file}`,
      `\r\n${file}`,
      file.replace('\r\n\r\n', '\r\n'),
      file.replace(/^[^]*\r\n\r\n/, ''),
      file.replace(/^[^]*\r\n\r\n/, '').replaceAll('\r\n', ''),
      file.replace(/^[^]*\r\n\r\n/, '').replaceAll('\r\n', '\n  '),
      file.replace('; smime-type', ';\r\n\tsmime-type'),
      file.replaceAll('\r\n', '\r'),
      file.replaceAll('\r\n', '\r\r\n'),
      `\r\r\n\n${file}\n\r\n\r`,
      file.replace(/^[^]*\r\n\r\n/, '\r\r').replaceAll('\r\n', '\r'),
      `${file}\u001a`,
    ]
    const swapped = (text: string) => Buffer.from(text, 'utf16le').swap16()
    for (const form of forms) {
      const bare = form.replace('\uFEFF', '')
      const wide = [bare, `\uFEFF${bare}`].flatMap((text) => [Buffer.from(text, 'utf16le'), swapped(text)])
      const writings = [Buffer.from(form), ...wide]
      for (const bytes of writings) {
        expect(await openServerToken(bytes, [other, ours])).toEqual({ ...token, keyIndex: 1 })
      }
    }
  })

  test.each([
    ['des-ede3-cbc', undefined],
    ['aes-128-cbc', undefined],
    ['aes-256-cbc', 'sha1'],
    ['aes-256-cbc', 'sha256'],
  ] as const)('%s, OAEP %s', async (cipher, oaepHash) => {
    const file = sealServerToken(token, ours.certificate, { cipher, ...(oaepHash && { oaepHash }) })
    expect((await openServerToken(Buffer.from(file), [ours])).accessToken).toBe('AT_11aa22')
  })

  test.each([
    ['smime', ['smime', '-encrypt', '-des3']],
    ['smime', ['smime', '-encrypt', '-aes256', '-outform', 'DER']],
    ['smime', ['smime', '-encrypt', '-aes128', '-outform', 'PEM']],
    ['cms', ['cms', '-encrypt', '-des3', '-outform', 'PEM']],
    ['cms', ['cms', '-encrypt', '-aes192', '-stream', '-outform', 'DER']],
    ['cms', ['cms', '-encrypt', '-aes256', '-keyid']],
  ])('openssl %s %j', async (_, args) => {
    const inner = `Content-Type: text/plain;charset=UTF-8\nContent-Transfer-Encoding: 7bit\n\n-----BEGIN MESSAGE-----\n${JSON_TEXT}\n-----END MESSAGE-----\n`
    const made = openssl(
      [...args, '-in', 'inner.txt', '-out', 'token.p7m', 'ours.pem'],
      { 'inner.txt': inner, 'ours.pem': pem },
      ['token.p7m'],
    )
    expect(made.stderr).toBe('')
    expect(await openServerToken(made.files['token.p7m'], [ours])).toEqual({ ...token, keyIndex: 0 })
  })

  test('openssl opens what the portal of the simulator makes', () => {
    const opened = openssl(
      ['smime', '-decrypt', '-in', 'token.p7m', '-inkey', 'key.pem', '-recip', 'c.pem'],
      {
        'token.p7m': sealServerToken(token, ours.certificate),
        'key.pem': keyToPem(ours.key),
        'c.pem': pem,
      },
    )
    expect(opened.stdout.toString()).toContain(`-----BEGIN MESSAGE-----\r\n${JSON_TEXT}\r\n`)
  })

  test('JSON wrapped over lines anywhere, with markers or without', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(JSON_TEXT.length), { maxLength: 8 }),
        fc.constantFrom('\n', '\r\n', '\r', '\r\n '),
        fc.boolean(),
        async (cuts, end, marked) => {
          let json = JSON_TEXT
          for (const cut of cuts.toSorted((a, b) => b - a)) json = json.slice(0, cut) + end + json.slice(cut)
          const inner = marked
            ? `Content-Type: text/plain; boundary="{x}"${end}${end}-----BEGIN MESSAGE-----${end}${json}${end}-----END MESSAGE-----`
            : json
          expect(await openServerToken(seal(inner), [ours])).toEqual({ ...token, keyIndex: 0 })
        },
      ),
      { numRuns: 40 },
    )
  })
})

describe('refusals', () => {
  test.each([
    ['nothing', '', 'token_not_smime: .* it is empty'],
    ['a sentence', 'Please find the token attached.', 'token_not_smime: .* neither base64'],
    ['JSON', JSON_TEXT, 'token_not_smime: .* neither base64'],
    ['base64 of something else', Buffer.from('hello world, hello').toString('base64'), 'no CMS message'],
    ['a web page', '<html><body>Sign in</body></html>', 'token_not_smime: .* neither base64'],
    [
      'a mail of parts',
      'Content-Type: multipart/signed; boundary=x\r\n\r\n--x\r\n\r\n--x--\r\n',
      'several parts',
    ],
    ['far too much', Buffer.alloc(300_000, 'A'), 'token_not_smime: .* more than 262144 bytes'],
    ['DER of nothing', Buffer.from([0x30, 0x82, 0x01, 0x00, 1, 2, 3]), 'token_not_smime: .* cannot be read'],
  ])('%s', async (_, file, reason) => {
    expect(await reasonOf(file)).toMatch(new RegExp(reason))
  })

  test('the certificate instead of the token', async () => {
    expect(await reasonOf(pem)).toMatch(/token_not_smime: .* a PEM file with CERTIFICATE in it/)
    expect(await reasonOf(ours.certificate.der)).toMatch(/token_not_smime: .* cannot be read/)
  })

  test('a token for another key', async () => {
    const file = sealServerToken(token, ours.certificate)
    expect(await reasonOf(file, [other])).toMatch(/^token_for_another_key: The file was made for another/)
    expect(await reasonOf(file, [])).toMatch(/^token_for_another_key/)
  })

  test('a damaged one', async () => {
    const file = Buffer.from(seal(JSON_TEXT))
    file.writeUInt8(file.readUInt8(file.length - 20) ^ 1, file.length - 20)
    expect(await reasonOf(file)).toMatch(/^token_not_smime: .*(cannot be decrypted|holds no JSON object)/)
  })

  test('one that lacks something says what', async () => {
    const fields = JSON.parse(JSON_TEXT) as Record<string, unknown>
    const without = (changes: object) => reasonOf(seal(JSON.stringify({ ...fields, ...changes })))
    expect(await without({ consumer_key: undefined, access_secret: '' })).toBe(
      'token_incomplete: The server token lacks consumer_key, access_secret.',
    )
    expect(await without({ access_token: 7 })).toBe('token_incomplete: The server token lacks access_token.')
    expect(await without({ access_token_expiry: 'soon' })).toMatch(/token_incomplete: .* is no date/)
    expect(await without({ access_token_expiry: undefined })).toContain('lacks access_token_expiry')
    expect(await reasonOf(seal('no json'))).toMatch(/token_not_smime: .* holds no JSON object/)
    expect(await reasonOf(seal('[1]'))).toMatch(/token_not_smime: .* holds no JSON object/)
  })

  test('whatever the bytes, the answer is a refusal', async () => {
    const file = Buffer.from(sealServerToken(token, ours.certificate))
    await fc.assert(
      fc.asyncProperty(fc.nat(file.length - 1), fc.uint8Array({ maxLength: 9 }), async (at, bytes) => {
        const changed = Buffer.concat([file.subarray(0, at), bytes, file.subarray(at + bytes.length)])
        const outcome: unknown = await openServerToken(changed, [ours]).catch((error: unknown) => error)
        if (outcome instanceof AppError) expect(outcome.code).toMatch(/^token_/)
        else expect(outcome).toMatchObject({ keyIndex: 0 })
      }),
      { numRuns: 150 },
    )
  })
})

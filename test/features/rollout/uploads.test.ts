import { createPrivateKey } from 'node:crypto'
import { expect, test } from 'vitest'
import { selfSigned } from '../../support/certificates.ts'
import { describeEachEngine } from '../../support/database.ts'
import { mobileconfig, payload } from '../../support/mobileconfig.ts'
import { openssl } from '../../support/openssl.ts'
import { readSigned } from './signed.ts'
import { PROFILE, rolloutWorld } from './world.ts'

const signer = selfSigned('Ada Signer')
const key = createPrivateKey(signer.keyPem).export({ type: 'pkcs8', format: 'pem' })

/** A file as openssl makes it of a profile. */
function made(args: readonly string[], content: string, ...recipients: readonly string[]): Buffer {
  const files = { 'in.mobileconfig': content, 'cert.pem': signer.certPem, 'key.pem': key }
  const {
    ok,
    stderr,
    files: out,
  } = openssl([...args, '-in', 'in.mobileconfig', '-out', 'out', ...recipients], files, ['out'])
  if (!ok) throw new Error(stderr)
  return out.out
}

const signing = ['-sign', '-signer', 'cert.pem', '-inkey', 'key.pem', '-nodetach', '-binary']

describeEachEngine('uploads', (database) => {
  const world = rolloutWorld(database)

  test.each([
    ['in DER', ['smime', ...signing, '-outform', 'der']],
    ['in BER, as a stream', ['cms', ...signing, '-stream', '-outform', 'der']],
    ['in PEM', ['smime', ...signing, '-outform', 'pem']],
    ['with SHA-1', ['cms', ...signing, '-md', 'sha1', '-outform', 'der']],
    ['without attributes', ['cms', ...signing, '-noattr', '-outform', 'der']],
    ['by key identifier', ['cms', ...signing, '-keyid', '-outform', 'der']],
  ])('a signed one %s is unwrapped, and signed anew', async (_how, args) => {
    const { upload, download, profiles, db, signer: ours } = await world()
    const file = made(args, mobileconfig())
    const answer = await upload(file)
    expect(answer).toMatchObject({
      status: 201,
      body: {
        identifier: 'org.example.wifi',
        signed_by: {
          subject: 'Ada Signer',
          issuer: 'Ada Signer',
          is_trusted: false,
          problem: expect.any(String),
        },
        warnings: [{ path: '', message: expect.stringContaining('chain') }],
      },
    })
    expect((await download(answer.body.id)).bytes).toEqual(file)
    const rendered = await profiles.render(db.kysely, { id: answer.body.id, revision: 1, values: new Map() })
    if (!rendered.ok) throw new Error(rendered.detail)
    expect(readSigned(rendered.body)).toMatchObject({
      by: ours.certificate.fingerprint,
      plist: { PayloadIdentifier: 'org.example.wifi', PayloadUUID: rendered.payloadUuid },
    })
  })

  test('the same content, signed or not, makes no revision', async () => {
    const { upload, replace } = await world()
    const { body } = await upload(mobileconfig())
    const file = made(['smime', ...signing, '-outform', 'der'], mobileconfig())
    expect((await replace(body.id, file)).body).toMatchObject({ revision: 1, signed_by: null })
  })

  test('of very many faults the first are told, and how many there are; long names are cut', async () => {
    const { upload } = await world()
    const long = 'k'.repeat(20_000)
    const odd = { PayloadType: 'com.example.odd', [long]: Array.from({ length: 1_000 }, () => '{{') }
    const { status, body } = await upload(mobileconfig({}, payload(odd)))
    expect([status, body.code]).toEqual([422, 'profile_invalid'])
    expect(body.errors).toHaveLength(100)
    expect(body.detail).toContain('(and 999 more)')
    expect(JSON.stringify(body).length).toBeLessThan(100_000)
  })

  test('a text by which devices tell things apart is of 512 bytes at most', async () => {
    const { upload } = await world()
    const answer = await upload(mobileconfig({ PayloadIdentifier: 'x'.repeat(513) }))
    expect(answer).toMatchObject({
      status: 422,
      body: { code: 'profile_invalid', errors: [{ pointer: '/PayloadIdentifier' }] },
    })
  })

  test('a signature that is not right is refused', async () => {
    const { upload } = await world()
    const file = made(['smime', ...signing, '-outform', 'der'], mobileconfig())
    const at = file.indexOf('Wi-Fi of Example')
    file[at] = 'X'.charCodeAt(0)
    const answer = await upload(file)
    expect(answer).toMatchObject({ status: 422, body: { code: 'profile_invalid' } })
    expect(answer.body.detail).toContain('signature')
  })

  test.each([
    [
      'is encrypted for somebody',
      () => made(['smime', '-encrypt', '-aes256', '-outform', 'der'], mobileconfig(), 'cert.pem'),
    ],
    ['says that it is encrypted', () => mobileconfig({ IsEncrypted: true })],
    [
      'has encrypted content',
      () => mobileconfig({ EncryptedPayloadContent: Buffer.from('x'), PayloadContent: undefined }),
    ],
  ])('one that %s is told as that', async (_what, content) => {
    const { upload } = await world()
    expect(await upload(content())).toMatchObject({ status: 422, body: { code: 'profile_encrypted' } })
  })

  const whole = mobileconfig()
  test.each([
    ['nothing', ''],
    ['text', 'hello'],
    ['JSON', '{"PayloadType": "Configuration"}'],
    ['HTML', '<html><body>Login</body></html>'],
    ['a part of one', whole.slice(0, whole.length / 2)],
    [
      'an entity',
      whole.replace(/<!DOCTYPE[^>]*>/, '<!DOCTYPE plist [<!ENTITY a "b">]>').replace('Example<', '&a;<'),
    ],
    [
      'an external entity',
      whole.replace(
        /<!DOCTYPE[^>]*>/,
        '<!DOCTYPE plist SYSTEM "file:///etc/passwd" [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
      ),
    ],
    ['an array', '<plist version="1.0"><array/></plist>'],
    ['deep nesting', whole.replace('<dict>', `<dict><key>a</key>${'<array>'.repeat(100_000)}`)],
    ['a broken binary list', Buffer.from('bplist00nonsense')],
    [
      'a broken CMS message',
      Buffer.concat([Buffer.from('3082ffff06092a864886f70d010702', 'hex'), Buffer.alloc(500)]),
    ],
    ['deep CMS', Buffer.alloc(100_000, Buffer.from('3080', 'hex'))],
    ['CMS that unfolds to millions of values', unfolding()],
    ['a certificate', Buffer.from(signer.certPem.replace(/-----[^-]+-----/g, ''), 'base64')],
  ])('%s is no profile', async (_what, content) => {
    const { upload } = await world()
    const answer = await upload(content)
    expect(answer).toMatchObject({ status: 422, body: { code: 'profile_invalid' } })
    expect(answer.body.detail.length).toBeLessThan(400)
  })

  test.each([
    [{ PayloadType: undefined }, '/PayloadType'],
    [{ PayloadType: 'Profile Service' }, '/PayloadType'],
    [{ PayloadIdentifier: '' }, '/PayloadIdentifier'],
    [{ PayloadIdentifier: 7 }, '/PayloadIdentifier'],
    [{ PayloadIdentifier: 'org.{{device.name}}' }, '/PayloadIdentifier'],
    [{ PayloadUUID: undefined }, '/PayloadUUID'],
    [{ PayloadVersion: 2 }, '/PayloadVersion'],
    [{ PayloadScope: 'Everyone' }, '/PayloadScope'],
    [{ PayloadContent: undefined }, '/PayloadContent'],
    [{ PayloadContent: ['x'] }, '/PayloadContent/0'],
    [{ PayloadContent: [payload({ PayloadVersion: undefined })] }, '/PayloadContent/0/PayloadVersion'],
    [{ PayloadContent: [payload({ PayloadUUID: '{{device.udid}}' })] }, '/PayloadContent/0/PayloadUUID'],
    [{ PayloadContent: [payload({ SSID_STR: '{{user.mail}}' })] }, '/PayloadContent/0/SSID_STR'],
    [{ PayloadContent: [payload({ SSID_STR: '{{user.{{user.email}}}}' })] }, '/PayloadContent/0/SSID_STR'],
    [{ PayloadContent: [payload({ 'a/b~c': ['', '{{x}}'] })] }, '/PayloadContent/0/a~1b~0c/1'],
    [
      { PayloadContent: [payload(), payload({ PayloadUUID: 'other' })] },
      '/PayloadContent/1/PayloadIdentifier',
    ],
    [
      { PayloadContent: [payload(), payload({ PayloadIdentifier: 'other' })] },
      '/PayloadContent/1/PayloadUUID',
    ],
    [
      { PayloadContent: [payload({ PayloadUUID: '6e1f0b6c-6b0b-4f0b-9b8a-000000000000' })] },
      '/PayloadContent/0/PayloadUUID',
    ],
  ])('%j is a fault at %s', async (keys, pointer) => {
    const { upload, call } = await world()
    const answer = await upload(mobileconfig(keys), '?name=Faulty')
    expect(answer).toMatchObject({ status: 422, body: { code: 'profile_invalid' } })
    expect(answer.body.errors).toContainEqual({ pointer, detail: expect.any(String) })
    expect((await call('GET', '/profiles?name=Faulty')).body.items).toEqual([])
  })

  test('what is too large is refused, before it is read or after', async () => {
    const { upload, call } = await world()
    const huge = Buffer.alloc(60 * 1024 * 1024, 'x')
    expect(await upload(huge)).toMatchObject({ status: 413, body: { code: 'payload_too_large' } })
    const large = mobileconfig({}, payload({ Icon: Buffer.alloc(11 * 1024 * 1024) }))
    expect(await upload(large)).toMatchObject({ status: 413, body: { code: 'payload_too_large' } })
    const most = mobileconfig(
      {},
      payload({ PayloadType: 'com.apple.font', Font: Buffer.alloc(7 * 1024 * 1024) }),
    )
    expect((await upload(most)).status).toBe(201)
    expect((await call('POST', '/profiles', { name: 'x' })).status).toBe(415)
    expect((await call('POST', '/profiles', Buffer.from('x'), { 'content-type': 'text/plain' })).status).toBe(
      415,
    )
    expect((await call('POST', '/profiles?nam=x', Buffer.from('x'), PROFILE)).status).toBe(400)
  })

  test('a binary list is read too', async () => {
    const { upload, profiles, db } = await world()
    const { buildBinary } = await import('plist')
    const { body } = await upload(
      Buffer.from(
        buildBinary({
          PayloadContent: [],
          PayloadType: 'Configuration',
          PayloadVersion: 1,
          PayloadIdentifier: 'org.example.binary',
          PayloadUUID: 'x',
          PayloadDisplayName: 'Für {{device.name}}',
          DurationUntilRemoval: 0.5,
          RemovalDate: new Date('2030-01-01T00:00:00Z'),
        }),
      ),
    )
    const [facts] = await profiles.findRevisions(db.kysely, [{ id: body.id, revision: 1 }])
    expect(facts).toMatchObject({ removal_date: new Date('2030-01-01T00:00:00Z') })
    const values = new Map([['device.name', 'Ada <1>']])
    const rendered = await profiles.render(db.kysely, { id: body.id, revision: 1, values })
    if (!rendered.ok) throw new Error(rendered.detail)
    expect(readSigned(rendered.body).plist).toMatchObject({
      PayloadDisplayName: 'Für Ada <1>',
      DurationUntilRemoval: 0.5,
    })
  })
})

/** A sequence of five million empty sequences. */
function unfolding(): Buffer {
  const inside = Buffer.alloc(9_999_990, Buffer.from('3000', 'hex'))
  const head = Buffer.from('308400000000', 'hex')
  head.writeUInt32BE(inside.length, 2)
  return Buffer.concat([head, inside])
}

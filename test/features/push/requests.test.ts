import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import { beforeEach, expect, test } from 'vitest'
import { pushCertificatesApi } from '../../../src/features/push/index.ts'
import { parsePlist, type PlistDict } from '../../../src/protocol/plist/index.ts'
import {
  createLeaf,
  keyToPem,
  parseCertificate,
  parseCsr,
  readPem,
  spkiOf,
  validity,
  writePem,
  type Certificate,
  type Identity,
} from '../../../src/protocol/x509/index.ts'
import { createApnsCertificates } from '../../../src/simulator/push-service/certificates.ts'
import { describeEachEngine } from '../../support/database.ts'
import { as, httpWorld } from '../../support/http-world.ts'
import { testKey } from '../../support/keys.ts'
import { openssl } from '../../support/openssl.ts'
import { pushCertificateFor } from '../../support/push-requests.ts'
import { emptyPushTables, pushWorld } from '../../support/push-world.ts'

const TOPIC = 'com.apple.mgmt.External.requested'
const PATH = '/api/v1/push-certificate-requests'
const now = new Date()

/** Apple's root and intermediate, and a vendor below them. */
async function vendorChain(days = 365) {
  const ca = { keyUsage: ['keyCertSign'] as const, ca: {} }
  const root = await createLeaf({
    subject: [['CN', 'Root']],
    ...validity(now, 365),
    ...ca,
    key: testKey('ca'),
  })
  const wwdr = await createLeaf({
    subject: [['CN', 'WWDR']],
    ...validity(now, 365),
    ...ca,
    issuer: root,
    key: testKey('device'),
  })
  const from = days > 0 ? now : new Date(now.getTime() - 10 * 86_400_000)
  const vendor = await createLeaf({
    subject: [['CN', 'MDM Vendor: Acme']],
    ...validity(from, Math.abs(days)),
    issuer: wwdr,
    key: testKey('other'),
  })
  return { root, wwdr, vendor }
}

const pem = (...certificates: Certificate[]) =>
  certificates.map(({ der }) => writePem('CERTIFICATE', der)).join('')
const chain = await vendorChain()
const keyPem = keyToPem(chain.vendor.key)
const all = [chain.vendor, chain.wwdr, chain.root].map(({ certificate }) => certificate)

describeEachEngine('requests for push certificates', (database, engine) => {
  beforeEach(async () => {
    await emptyPushTables(database())
    await database().kysely.deleteFrom('push_certificate_requests').execute()
  })

  async function start() {
    const nowhere = { url: 'https://127.0.0.1:1', certificates: await createApnsCertificates(now) }
    const { push, logText } = pushWorld(database(), nowhere)
    const { http, lines } = await httpWorld({ scopes: { operator: pushCertificatesApi(push) } })
    const call = async (
      method: 'GET' | 'POST' | 'PUT',
      url: string,
      payload?: string | object,
      role: 'admin' | 'operator' | 'viewer' = 'admin',
    ) => {
      const type = typeof payload === 'string' ? { 'content-type': 'application/x-pem-file' } : {}
      const answer = await http.operator.inject({
        method,
        url,
        headers: { ...as(role), ...type },
        ...(payload !== undefined && { payload }),
      })
      return { status: answer.statusCode, body: answer.json() }
    }
    const make = async (body?: object) => (await call('POST', PATH, body)).body
    const put = (id: string, payload: string | object, query = '') =>
      call('PUT', `${PATH}/${id}/certificate${query}`, payload)
    return { call, make, put, said: () => logText() + JSON.stringify(lines) }
  }

  test('a key is made here, and the certificate that comes for it is the push certificate', async () => {
    const { call, make, put, said } = await start()
    const made = await make()
    expect(made).toMatchObject({ upload: null, topic: null })
    const shown = openssl(['req', '-in', 'csr.pem', '-noout', '-verify', '-text'], {
      'csr.pem': made.csr_pem,
    })
    expect(shown.ok).toBe(true)
    expect(shown.stdout.toString()).toMatch(/2048 bit[^]*sha256WithRSAEncryption/)
    expect(await call('GET', `${PATH}/${made.id}`, undefined, 'viewer')).toEqual({ status: 200, body: made })

    const certificate = await pushCertificateFor(made.csr_pem, TOPIC)
    // Twice, as when an answer is lost; with what else the file may hold.
    for (const file of [certificate, pem(chain.root.certificate) + certificate]) {
      expect(await put(made.id, file, '?apple_id=it%40example.com')).toMatchObject({
        status: 200,
        body: { topic: TOPIC, in_use: true, apple_id: 'it@example.com', warnings: [] },
      })
    }
    expect((await call('GET', PATH)).body).toMatchObject({
      items: [{ id: made.id, topic: TOPIC }],
      next_cursor: null,
    })
    const [row] = await database().kysely.selectFrom('push_certificate_requests').selectAll().execute()
    expect(row!.private_key.includes('PRIVATE')).toBe(false)
    expect(said()).not.toContain('PRIVATE KEY')
    const told = await database()
      .kysely.selectFrom('event_outbox')
      .select(['type', 'by'])
      .orderBy('seq')
      .execute()
    expect(told).toMatchObject(
      ['push_certificate.requested', 'push_certificate.stored', 'push_certificate.stored'].map((type) => ({
        type,
        by: { name: 'admin' },
      })),
    )
  })

  test('a renewal by a new request has the same topic; another topic is refused unless forced', async () => {
    const { make, put } = await start()
    const [first, second] = [await make(), await make()]
    await put(first.id, await pushCertificateFor(first.csr_pem, TOPIC))
    const renewal = await pushCertificateFor(second.csr_pem, TOPIC, { days: 400 })
    expect(await put(second.id, renewal)).toMatchObject({ status: 200, body: { topic: TOPIC } })
    const other = await pushCertificateFor(first.csr_pem, 'com.apple.mgmt.External.other')
    expect(await put(first.id, other)).toMatchObject({
      status: 409,
      body: { code: 'push_certificate_topic_changed' },
    })
    expect(await put(first.id, other, '?force=true')).toMatchObject({ status: 200 })
  })

  // What follows asks the database nothing else.
  if (engine === 'embedded') return

  test("what does not fit is refused with what is wrong, and nobody's certificate changes", async () => {
    const { call, make, put } = await start()
    const [mine, another] = [await make(), await make()]
    const day = 86_400_000
    const topic = (of: string) => pushCertificateFor(mine.csr_pem, of)
    const cases: [string, string | object, number, string][] = [
      [
        'of another request',
        await pushCertificateFor(another.csr_pem, TOPIC),
        422,
        'push_certificate_key_missing',
      ],
      [
        'expired',
        await pushCertificateFor(mine.csr_pem, TOPIC, { from: new Date(now.getTime() - 9 * day), days: 2 }),
        422,
        'push_certificate_expired',
      ],
      ['of an app', await topic('com.example.app'), 422, 'push_certificate_not_mdm'],
      ['the request itself', mine.csr_pem, 422, 'push_certificate_invalid'],
      ['nothing', '', 422, 'push_certificate_invalid'],
      ['half a file', (await topic(TOPIC)).slice(0, 300), 422, 'push_certificate_invalid'],
      [
        'no certificate',
        '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
        422,
        'push_certificate_invalid',
      ],
      ['JSON', { certificate: 'x' }, 415, 'unsupported_media_type'],
    ]
    for (const [name, file, status, code] of cases)
      expect({ name, ...(await put(mine.id, file)) }).toMatchObject({ name, status, body: { code } })
    expect(await put('unknown', await topic(TOPIC))).toMatchObject({ status: 404 })
    expect((await call('GET', '/api/v1/push-certificates')).body.items).toEqual([])
    expect(await call('POST', PATH, {}, 'operator')).toMatchObject({ status: 403 })
    expect(await call('POST', PATH, { csr: 'x' })).toMatchObject({ status: 400 })
  })

  test.each([
    ['in their order', all],
    ['in any order, some twice', [...all.toReversed(), ...all]],
  ])(
    "a vendor's signature makes the file for Apple's portal, with the certificates %s",
    async (_name, given) => {
      const { make, said } = await start()
      const made = await make({ vendor_certificates: `Bag Attributes\n${pem(...given)}`, vendor_key: keyPem })
      const plist = parsePlist(Buffer.from(made.upload, 'base64')) as PlistDict
      expect(Object.keys(plist).toSorted()).toEqual([
        'PushCertCertificateChain',
        'PushCertRequestCSR',
        'PushCertSignature',
      ])
      const csr = Buffer.from(plist['PushCertRequestCSR'] as string, 'base64')
      expect(csr).toEqual(readPem(made.csr_pem)[0]!.der)
      expect(parseCsr(csr).verify()).toBe(true)
      const signature = Buffer.from(plist['PushCertSignature'] as string, 'base64')
      expect(verify('sha256', csr, createPublicKey(keyPem), signature)).toBe(true)
      const text = plist['PushCertCertificateChain'] as string
      expect(readPem(text).map(({ der }) => parseCertificate(der).fingerprint)).toEqual(
        all.map(({ fingerprint }) => fingerprint),
      )
      expect(Math.max(...text.split('\n').map((line) => line.length))).toBe(64)
      expect(said()).not.toContain('PRIVATE KEY')
      const digest = createHash('sha256')
        .update(spkiOf(createPrivateKey(keyPem)))
        .digest('hex')
      const rows = JSON.stringify(
        await database().kysely.selectFrom('push_certificate_requests').selectAll().execute(),
      )
      expect(rows).not.toContain(digest)
    },
  )

  test("a vendor's key or certificates that cannot sign are refused before anything is made", async () => {
    const { call } = await start()
    const expired = await vendorChain(-2)
    const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey
    const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey
    const encrypted = createPrivateKey(keyPem)
      .export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' })
      .toString()
    const whole = pem(...all)
    const ofVendor = ({ vendor, wwdr, root }: Record<'vendor' | 'wwdr' | 'root', Identity>) =>
      pem(vendor.certificate, wwdr.certificate, root.certificate)
    const cases: [string, string | undefined, string | undefined, string, string][] = [
      ['a key of another', whole, keyToPem(testKey('ca')), 'vendor_identity_invalid', "Apple's root"],
      ['an EC key', whole, keyToPem(ec), 'vendor_identity_invalid', 'RSA'],
      ['an RSA-PSS key', whole, keyToPem(pss), 'vendor_identity_invalid', 'RSA'],
      ['an encrypted key', whole, encrypted, 'vendor_identity_invalid', 'encrypted'],
      ['no key', whole, pem(chain.vendor.certificate), 'vendor_identity_invalid', 'no private key'],
      ['garbage as key', whole, 'garbage', 'vendor_identity_invalid', 'no private key'],
      ['two keys', whole, keyPem + keyPem, 'vendor_identity_invalid', 'more than one'],
      ['garbage as certificates', 'garbage', keyPem, 'vendor_identity_invalid', 'no certificate'],
      [
        'no root',
        pem(chain.vendor.certificate, chain.wwdr.certificate),
        keyPem,
        'vendor_identity_invalid',
        'root',
      ],
      [
        'no intermediate',
        pem(chain.vendor.certificate, chain.root.certificate),
        keyPem,
        'vendor_identity_invalid',
        'WWDR',
      ],
      [
        'only those above',
        pem(chain.wwdr.certificate, chain.root.certificate),
        keyPem,
        'vendor_identity_invalid',
        'none of the certificates',
      ],
      [
        'an expired vendor',
        ofVendor(expired),
        keyToPem(expired.vendor.key),
        'vendor_identity_invalid',
        'expired',
      ],
      ['no certificates', undefined, keyPem, 'invalid_request', 'together'],
      ['only certificates', whole, undefined, 'invalid_request', 'together'],
    ]
    for (const [name, vendor_certificates, vendor_key, code, detail] of cases) {
      const { body } = await call('POST', PATH, { vendor_certificates, vendor_key })
      const errors = [{ pointer: expect.any(String) }]
      expect({ name, ...body }).toMatchObject({ name, code, detail: expect.stringContaining(detail), errors })
      expect(JSON.stringify(body)).not.toContain('BEGIN')
    }
    expect((await call('GET', PATH)).body.items).toEqual([])
  })
})

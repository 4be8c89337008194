import { readFileSync } from 'node:fs'
import { beforeEach, expect, test } from 'vitest'
import { pushCertificatesApi } from '../../../src/features/push/index.ts'
import { createApnsCertificates } from '../../../src/simulator/push-service/certificates.ts'
import { describeEachEngine } from '../../support/database.ts'
import { as, httpWorld } from '../../support/http-world.ts'
import { openssl } from '../../support/openssl.ts'
import { emptyPushTables, pushWorld } from '../../support/push-world.ts'

const TOPIC = 'com.apple.mgmt.External.11111111-1111-4111-8111-111111111111'

const example = (name: string) => readFileSync(new URL(`../../../certs.example/${name}`, import.meta.url))
const pem = Buffer.concat([example('push.pem'), example('push.key.pem')])
const otherPem = Buffer.concat([example('push-other-topic.pem'), example('push-other-topic.key.pem')])

describeEachEngine('the push certificates of the API', (database) => {
  beforeEach(() => emptyPushTables(database()))

  async function start() {
    const nowhere = { url: 'https://127.0.0.1:1', certificates: await createApnsCertificates(new Date()) }
    const { push } = pushWorld(database(), nowhere)
    const { http, lines } = await httpWorld({ scopes: { operator: pushCertificatesApi(push) } })

    async function put(
      payload: Buffer | string | object,
      type?: string,
      query = '',
      role: 'admin' | 'operator' = 'admin',
    ) {
      const answer = await http.operator.inject({
        method: 'PUT',
        url: `/api/v1/push-certificates${query}`,
        headers: { ...as(role), ...(type === undefined ? {} : { 'content-type': type }) },
        payload,
      })
      return { status: answer.statusCode, body: answer.json() }
    }
    async function get(path: string) {
      const answer = await http.operator.inject({
        url: `/api/v1/push-certificates${path}`,
        headers: as('viewer'),
      })
      return { status: answer.statusCode, body: answer.json() }
    }
    return { put, get, logText: () => JSON.stringify(lines) }
  }

  test.each(['application/x-pem-file', 'text/plain', 'application/octet-stream'])(
    'takes PEM as %s',
    async (type) => {
      const { put, get, logText } = await start()
      const { status, body } = await put(pem, type, '?apple_id=it%40example.com')
      expect({ status, body }).toMatchObject({
        status: 200,
        body: {
          id: TOPIC,
          topic: TOPIC,
          apple_id: 'it@example.com',
          in_use: true,
          rejected_reason: null,
          warnings: [],
        },
      })
      expect(new Date(body.not_after).getFullYear()).toBe(2045)
      expect(Object.keys(body)).not.toContain('private_key')
      expect(await get(`/${TOPIC}`)).toMatchObject({ status: 200, body: { topic: TOPIC } })
      expect(await get('')).toMatchObject({ body: { items: [{ topic: TOPIC }], next_cursor: null } })
      expect(logText()).not.toContain('PRIVATE KEY')
    },
  )

  test('takes PKCS#12 of old and of new tools, and says when the password is wrong', async () => {
    const { put } = await start()
    const files = { 'cert.pem': example('push.pem'), 'key.pem': example('push.key.pem') }
    const exportWith = (...options: string[]) =>
      openssl(
        [
          ...'pkcs12 -export -in cert.pem -inkey key.pem -passout pass:s3cret -out x.p12'.split(' '),
          ...options,
        ],
        files,
        ['x.p12'],
      ).files['x.p12']
    const legacy = ['-certpbe', 'PBE-SHA1-3DES', '-keypbe', 'PBE-SHA1-3DES', '-macalg', 'sha1']
    for (const file of [exportWith(), exportWith(...legacy)]) {
      const body = { pkcs12: file.toString('base64'), password: 's3cret' }
      expect(await put(body)).toMatchObject({ status: 200, body: { topic: TOPIC } })
      expect(await put({ ...body, password: 'wrong' })).toMatchObject({
        status: 422,
        body: { code: 'push_certificate_invalid', detail: expect.stringContaining('password is wrong') },
      })
    }
  })

  test.each<[string, Buffer | string | object, string | undefined, number, string]>([
    ['a body that is none', 'nothing', 'text/plain', 422, 'push_certificate_invalid'],
    ['an empty body', '', 'application/x-pem-file', 422, 'push_certificate_invalid'],
    ['no key', example('push.pem'), 'text/plain', 422, 'push_certificate_key_missing'],
    [
      'an expired certificate',
      Buffer.concat([example('push-expired.pem'), example('push-expired.key.pem')]),
      'text/plain',
      422,
      'push_certificate_expired',
    ],
    [
      'a TLS certificate',
      Buffer.concat([example('tls.pem'), example('tls.key.pem')]),
      'text/plain',
      422,
      'push_certificate_not_mdm',
    ],
    ['PKCS#12 that is none', { pkcs12: 'AAAA', password: '' }, undefined, 422, 'push_certificate_invalid'],
    ['PKCS#12 that is no base64', { pkcs12: '!', password: '' }, undefined, 400, 'invalid_request'],
    ['an unknown field', { pkcs12: 'AAAA', password: '', pem: '' }, undefined, 400, 'invalid_request'],
    ['another type', '<x/>', 'application/xml', 415, 'unsupported_media_type'],
    ['too much', Buffer.alloc(1024 * 1024 + 1, 65), 'text/plain', 413, 'payload_too_large'],
  ])('refuses %s', async (_name, payload, type, status, code) => {
    const { put, get } = await start()
    expect(await put(payload, type)).toMatchObject({ status, body: { code } })
    expect((await get('')).body.items).toEqual([])
  })

  test('refuses another topic unless forced, and lists both then', async () => {
    const { put, get } = await start()
    await put(pem, 'text/plain')
    expect(await put(otherPem, 'text/plain')).toMatchObject({
      status: 409,
      body: { code: 'push_certificate_topic_changed' },
    })
    expect(await put(otherPem, 'text/plain', '?force=true')).toMatchObject({
      status: 200,
      body: { in_use: true },
    })
    const first = await get('?limit=1')
    const second = await get(`?limit=1&cursor=${first.body.next_cursor}`)
    expect([...first.body.items, ...second.body.items]).toMatchObject([{ in_use: false }, { in_use: true }])
    expect(second.body.next_cursor).toBeNull()
  })

  test('is for admins to change', async () => {
    const { put, get } = await start()
    expect(await put(pem, 'text/plain', '', 'operator')).toMatchObject({
      status: 403,
      body: { code: 'forbidden' },
    })
    expect(await get('/com.apple.mgmt.External.unknown')).toMatchObject({
      status: 404,
      body: { code: 'not_found' },
    })
  })
})

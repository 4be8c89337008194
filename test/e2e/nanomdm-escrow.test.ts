import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLeaf, keyToPem, writePem } from '../../src/protocol/x509/index.ts'
import { startTestApp, TOPIC, type TestApp } from '../support/app.ts'
import { testDatabase } from '../support/database.ts'
import { TEST_VALIDITY, testCa } from '../support/identities.ts'
import { testKey } from '../support/keys.ts'
import { basic, callNanomdm } from '../support/nanomdm-caller.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

/** What Apple is asked, as a fake of it sees that. */
const asked: { url: string; uid: string; type: string | undefined; body: string }[] = []
const answer = { status: 200, body: '<plist/>' }
const folder = temporaryFolder()
let apple: ReturnType<typeof createServer>
let world: TestApp

beforeAll(async () => {
  const issuer = await testCa()
  const leaf = await createLeaf({
    subject: [['CN', 'localhost']],
    subjectAltNames: [{ type: 'dns', value: 'localhost' }],
    issuer,
    key: testKey('device'),
    ...TEST_VALIDITY,
  })
  const caFile = path.join(folder.path, 'ca.pem')
  await writeFile(caFile, writePem('CERTIFICATE', issuer.certificate.der))
  apple = createServer(
    {
      key: keyToPem(leaf.key),
      cert: writePem('CERTIFICATE', leaf.certificate.der),
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, reply) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const uid = (request.socket as TLSSocket).getPeerCertificate().subject as unknown as { UID: string }
        asked.push({
          url: request.url ?? '',
          uid: uid.UID,
          type: request.headers['content-type'],
          body: Buffer.concat(chunks).toString(),
        })
        reply.writeHead(answer.status, { 'content-type': 'text/xml', 'x-other': '1' }).end(answer.body)
      })
    },
  )
  await new Promise<void>((resolve) => apple.listen(0, '127.0.0.1', resolve))
  world = await startTestApp({
    db: await testDatabase('postgres'),
    settings: {
      FIRSTBOOT_ESCROW_URL: `https://localhost:${(apple.address() as AddressInfo).port}/unlock`,
      FIRSTBOOT_ESCROW_CA_FILE: caFile,
    },
  })
})
afterAll(async () => {
  await world.close()
  apple.close()
  await folder.remove()
})

const form = (change: Record<string, string> = {}) =>
  new URLSearchParams({
    ...{ topic: TOPIC, serial: 'C02 X&Y', productType: 'iPhone15,2', escrowKey: 'AAAAA-BBBB' },
    ...{ orgName: 'Ä & B', guid: 'ada@example.com' },
    ...change,
  }).toString()
const address = '/v1/escrowkeyunlock'

test('Apple is given the code, sees the push certificate, and its answer is passed through', async () => {
  const ok = await fetch(`${world.url}${address}`, {
    method: 'POST',
    headers: {
      authorization: basic('the-admin-token-of-these-tests-0123456789'),
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: form({ imei: '35', meid: '' }),
  })
  expect([ok.status, ok.headers.get('content-type'), await ok.text()]).toEqual([200, 'text/xml', '<plist/>'])
  const [call] = asked.splice(0)
  expect(call).toMatchObject({ uid: TOPIC, type: 'application/x-www-form-urlencoded' })
  expect(call?.url).toBe('/unlock?serial=C02+X%26Y&productType=iPhone15%2C2&imei=35')
  expect(Object.fromEntries(new URLSearchParams(call?.body))).toEqual({
    orgName: 'Ä & B',
    guid: 'ada@example.com',
    escrowKey: 'AAAAA-BBBB',
  })
  answer.status = 404
  answer.body = '{}'
  expect(await callNanomdm(world, 'POST', address, form())).toMatchObject({ status: 404, text: '{}' })
  await expect
    .poll(async () => {
      await world.pass(1_000)
      return (await world.api('GET', '/events?type=bypass_code.sent')).body.items
    })
    .toMatchObject([
      { serial_number: 'C02 X&Y', data: { status: 200 }, via: 'nanomdm' },
      { serial_number: 'C02 X&Y', data: { status: 404 } },
    ])
  expect(world.logText()).not.toContain('AAAAA-BBBB')
})

test('what is not asked rightly does not reach Apple', async () => {
  asked.splice(0)
  for (const missing of ['topic', 'serial', 'productType', 'escrowKey', 'orgName', 'guid'])
    expect(await callNanomdm(world, 'POST', address, form({ [missing]: '' }))).toMatchObject({
      status: 400,
      body: { error: `The form lacks ${missing}.` },
    })
  expect((await callNanomdm(world, 'POST', address)).status).toBe(400)
  expect((await callNanomdm(world, 'POST', address, form({ topic: 'com.apple.mgmt.other' }))).status).toBe(
    404,
  )
  expect((await callNanomdm(world, 'POST', address, form(), {})).status).toBe(401)
  const { body: viewer } = await world.api('POST', '/api-tokens', { name: 'reader', role: 'viewer' })
  expect(
    (await callNanomdm(world, 'POST', address, form(), { authorization: basic(viewer.secret) })).status,
  ).toBe(403)
  expect(asked).toEqual([])
})

test('that Apple cannot be reached is told as 502', async () => {
  apple.closeAllConnections()
  await new Promise((resolve) => apple.close(resolve))
  expect(await callNanomdm(world, 'POST', address, form())).toMatchObject({
    status: 502,
    body: { error: expect.any(String) },
  })
})

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { useCli } from './harness.ts'

const cli = useCli()
let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'cli-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** What a command line asks of the server. */
async function call(...argv: string[]): Promise<{ method: string; url: string; body: unknown }> {
  const { code, err } = await cli.run(argv)
  expect(code, err).toBe(0)
  const { method, url, body } = cli.requests.at(-1)!
  return { method, url: url.replace(/^\/api\/v1/, ''), body: body === '' ? undefined : JSON.parse(body) }
}

test.each<[string, string, string, unknown?]>([
  ['devices get UDID:User', 'GET', '/devices/UDID%3AUser'],
  ['devices push 1', 'POST', '/devices/1/push'],
  ['devices unenroll 1', 'POST', '/devices/1/unenroll'],
  ['devices delete 1', 'DELETE', '/devices/1'],
  ['devices delete 1 --force', 'DELETE', '/devices/1?force=true'],
  ['commands get u', 'GET', '/commands/u'],
  ['commands cancel u', 'DELETE', '/commands/u'],
  ['enrollment-links create', 'POST', '/enrollment-links', {}],
  [
    'enrollment-links create --uses 3 --user ada --expires-at 12h',
    'POST',
    '/enrollment-links',
    { uses: 3, user_name: 'ada', expires_at: '2026-05-01T20:00:00.000Z' },
  ],
  ['enrollment-links delete l', 'DELETE', '/enrollment-links/l'],
  ['enrollment-attempts get a', 'GET', '/enrollment-attempts/a'],
  ['push-certificates get com.apple.mgmt.x', 'GET', '/push-certificates/com.apple.mgmt.x'],
  ['api-tokens create ci --role viewer', 'POST', '/api-tokens', { name: 'ci', role: 'viewer' }],
  [
    'users create ada --device-limit none --disabled false --display-name Ada',
    'POST',
    '/users',
    { user_name: 'ada', device_limit: null, disabled: false, display_name: 'Ada' },
  ],
  ['users create ada --sign-in-source none', 'POST', '/users', { user_name: 'ada', sign_in: null }],
  [
    'users update u --sign-in-source 01a00000-0000-7000-8000-000000000000 --subject Zm9v==',
    'PATCH',
    '/users/u',
    { sign_in: { source_id: '01a00000-0000-7000-8000-000000000000', subject: 'Zm9v==' } },
  ],
  [
    'sign-in-sources update s --links-existing-users true',
    'PATCH',
    '/sign-in-sources/s',
    { links_existing_users: true },
  ],
  ['users update u --device-limit 3', 'PATCH', '/users/u', { device_limit: 3 }],
  ['settings get', 'GET', '/settings'],
  [
    'settings set default_device_limit=none event_days=30 user_authenticate=accept',
    'PATCH',
    '/settings',
    { default_device_limit: null, event_days: 30, user_authenticate: 'accept' },
  ],
])('%s', async (line, method, url, body) => {
  expect(await call(...line.split(' '))).toEqual({ method, url, body })
})

describe('commands send', () => {
  test('by type and JSON', async () => {
    const options = ['--priority', 'high', '--dry-run', '--not-before', '2026-05-02T08:00:00+02:00']
    expect(
      await call(
        'commands',
        'send',
        '--device',
        'a',
        '--device',
        'b',
        '--type',
        'DeviceInformation',
        '--json',
        '{"Queries":["UDID"]}',
        ...options,
      ),
    ).toEqual({
      method: 'POST',
      url: '/commands',
      body: {
        device_ids: ['a', 'b'],
        request_type: 'DeviceInformation',
        command: { Queries: ['UDID'] },
        priority: 'high',
        dry_run: true,
        not_before: '2026-05-02T06:00:00.000Z',
      },
    })
    expect(cli.requests.at(-1)?.headers['idempotency-key']).toMatch(/^[0-9a-f-]{36}$/)
  })

  test('by a whole property list', async () => {
    const file = path.join(folder, 'command.plist')
    await writeFile(file, '<plist/>')
    const { body } = await call('commands', 'send', '--device', 'a', '--plist', file)
    expect(body).toEqual({ device_ids: ['a'], plist: Buffer.from('<plist/>').toString('base64') })
  })
})

describe('push-certificates put', () => {
  test('joins PEM files', async () => {
    const files = ['cert.pem', 'key.pem'].map((name) => path.join(folder, name))
    await Promise.all(files.map((file) => writeFile(file, `-----${path.basename(file)}-----`)))
    const { code } = await cli.run([
      'push-certificates',
      'put',
      ...files,
      '--apple-id',
      'it@example.ch',
      '--force',
    ])
    expect(code).toBe(0)
    expect(cli.requests[0]).toMatchObject({
      method: 'PUT',
      url: '/api/v1/push-certificates?apple_id=it%40example.ch&force=true',
      body: '-----cert.pem-----\n-----key.pem-----\n',
    })
    expect(cli.requests[0]?.headers['content-type']).toBe('application/x-pem-file')
  })

  test('sends PKCS#12 with its password from a file', async () => {
    const file = path.join(folder, 'push.p12')
    await writeFile(file, Buffer.from([0x30, 0x82, 1, 2]))
    await writeFile(path.join(folder, 'password'), 'hunter2\n')
    const { body } = await call(
      'push-certificates',
      'put',
      file,
      '--password-file',
      path.join(folder, 'password'),
    )
    expect(body).toEqual({ pkcs12: 'MIIBAg==', password: 'hunter2' })
  })
})

test('a request for a push certificate goes to a file for the portal, and what came of it back', async () => {
  const file = (name: string) => path.join(folder, name)
  await writeFile(file('chain.pem'), 'chain')
  await writeFile(file('vendor.key'), 'key')
  const line = `push-certificate-requests create --vendor-certificates ${file('chain.pem')} --vendor-key`
  cli.replies.push({ body: { id: 'r', upload: 'YQ==' } }, { body: { id: 'r', upload: null, csr_pem: 'csr' } })
  const made = await cli.run([...line.split(' '), file('vendor.key'), '--to', file('request')])
  expect(made).toMatchObject({ code: 0, out: expect.stringContaining(file('request')) })
  expect(await readFile(file('request'), 'utf8')).toBe('YQ==')
  expect(JSON.parse(cli.requests[0]!.body)).toEqual({ vendor_certificates: 'chain', vendor_key: 'key' })
  await cli.run(['push-certificate-requests', 'create', '--to', file('request')])
  expect(await readFile(file('request'), 'utf8')).toBe('csr')

  const id = '01a00000-0000-7000-8000-000000000000'
  await cli.run(['push-certificate-requests', 'put', id, file('chain.pem'), '--force'])
  expect(cli.requests.at(-1)).toMatchObject({
    ...{ method: 'PUT', body: 'chain' },
    url: `/api/v1/push-certificate-requests/${id}/certificate?force=true`,
  })
})

test('the audit trail is printed as lines of JSON, to its end, and its check fails when it is broken', async () => {
  cli.replies.push(
    { body: { items: [{ id: '3' }, { id: '2' }], next_cursor: 'c' } },
    { body: { items: [{ id: '1' }], next_cursor: null } },
    { body: { ok: false, entries: 2, first: 1, head: null, faults: [{ number: 2, detail: 'gone' }] } },
  )
  const { code, out } = await cli.run(['audit', '--actor', 'ada', '--since', '1d'])
  expect({ code, out }).toEqual({ code: 0, out: '{"id":"3"}\n{"id":"2"}\n{"id":"1"}\n' })
  expect(cli.requests.map(({ url }) => url)).toEqual([
    '/api/v1/audit?limit=1000&actor=ada&since=2026-04-30T08%3A00%3A00.000Z',
    '/api/v1/audit?limit=1000&actor=ada&since=2026-04-30T08%3A00%3A00.000Z&cursor=c',
  ])
  const check = await cli.run(['audit', 'check', '--anchor', '2:ab'])
  expect(check).toMatchObject({ code: 1, out: expect.stringContaining('gone') })
  expect(cli.requests.at(-1)?.url).toBe('/api/v1/audit/check?anchor=2%3Aab')
})

test('the password of a user comes from a file', async () => {
  const file = path.join(folder, 'first-password')
  await writeFile(file, 'correct horse\n')
  const { body } = await call(
    'users',
    'update',
    'u',
    '--password-file',
    file,
    '--must-change-password',
    'true',
  )
  expect(body).toEqual({ password: 'correct horse', must_change_password: true })
})

test('the token comes from the option, a file, the environment or the data folder', async () => {
  const file = path.join(folder, 'admin-token')
  await writeFile(file, 'from-file\n')
  const env = { FIRSTBOOT_URL: cli.url }
  await cli.run(['settings', 'get', '--token', 'from-option'])
  await cli.run(['settings', 'get', '--token-file', file])
  await cli.run(['settings', 'get'])
  await cli.run(['settings', 'get'], { env: { ...env, FIRSTBOOT_DATA_DIR: folder } })
  await cli.run(['settings', 'get', '--url', `${cli.url}/`], { env: { FIRSTBOOT_TOKEN: 'from-env' } })
  expect(cli.requests.map(({ headers }) => headers.authorization)).toEqual([
    'Bearer from-option',
    'Bearer from-file',
    'Bearer token-1',
    'Bearer from-file',
    'Bearer from-env',
  ])
})

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { useCli } from './harness.ts'

const cli = useCli()
let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'cli-ade-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function fileOf(name: string, content: string | Uint8Array): Promise<string> {
  const file = path.join(folder, name)
  await writeFile(file, content)
  return file
}

test.each<[string, string, string, unknown?]>([
  ['ade-servers create Phones', 'POST', '/ade-servers', { name: 'Phones' }],
  ['ade-servers get s', 'GET', '/ade-servers/s'],
  ['ade-servers rename s Pads', 'PATCH', '/ade-servers/s', { name: 'Pads' }],
  ['ade-servers delete s --force', 'DELETE', '/ade-servers/s?force=true'],
  ['ade-servers new-key s', 'POST', '/ade-servers/s/encryption-key'],
  ['ade-servers sync s', 'POST', '/ade-servers/s/syncs'],
  ['ade-servers syncs s', 'GET', '/ade-servers/s/syncs'],
  ['ade-servers default-policy s p', 'PUT', '/ade-servers/s/default-policy', { policy_id: 'p' }],
  ['ade-servers default-policy s none', 'PUT', '/ade-servers/s/default-policy', { policy_id: null }],
  [
    'ade-devices list --state blocked --policy p --server s',
    'GET',
    '/ade-devices?state=blocked&policy_id=p&ade_server_id=s',
  ],
  ['ade-devices get F1', 'GET', '/ade-devices/F1'],
  ['ade-devices block F1', 'POST', '/ade-devices/F1/block'],
  ['ade-devices unblock F1', 'POST', '/ade-devices/F1/unblock'],
  ['ade-devices release F1 --confirm F1', 'POST', '/ade-devices/F1/release', { confirm: 'F1' }],
  [
    'enrollment-policies create Sales --json {"user_affinity":"prompt"}',
    'POST',
    '/enrollment-policies',
    { name: 'Sales', user_affinity: 'prompt' },
  ],
  ['enrollment-policies create Sales', 'POST', '/enrollment-policies', { name: 'Sales' }],
  [
    'enrollment-policies update p --json {"description":"x"}',
    'PATCH',
    '/enrollment-policies/p',
    { description: 'x' },
  ],
  ['enrollment-policies delete p', 'DELETE', '/enrollment-policies/p'],
  [
    'enrollment-policies assign p --serial-number F1 --serial-number F2',
    'POST',
    '/enrollment-policies/p/assign',
    { serial_numbers: ['F1', 'F2'] },
  ],
  [
    'enrollment-policies unassign p --all-of s',
    'POST',
    '/enrollment-policies/p/unassign',
    { all: true, ade_server_id: 's' },
  ],
  ['groups create Loan', 'POST', '/groups', { name: 'Loan' }],
  ['groups rename g Lent', 'PATCH', '/groups/g', { name: 'Lent' }],
  ['groups members g', 'GET', '/groups/g/members'],
  ['groups add g 1 2', 'POST', '/groups/g/members', { device_ids: ['1', '2'] }],
  ['groups replace g 1', 'PUT', '/groups/g/members', { device_ids: ['1'] }],
  ['groups remove g 1', 'DELETE', '/groups/g/members/1'],
  [
    'sign-in-sources create AD --kind ws_trust --endpoint https://a/mex --create-users false',
    'POST',
    '/sign-in-sources',
    { name: 'AD', kind: 'ws_trust', url: 'https://a/mex', create_users: false },
  ],
  [
    'sign-in-sources update i --scope openid --scope email --user-name-claim none',
    'PATCH',
    '/sign-in-sources/i',
    { scopes: ['openid', 'email'], user_name_claim: null },
  ],
  ['enrollment-links create --group g', 'POST', '/enrollment-links', { group_id: 'g' }],
])('%s', async (line, method, url, body) => {
  const { code, err } = await cli.run(line.split(' '))
  expect(code, err).toBe(0)
  const seen = cli.requests.at(-1)
  const asked = seen?.url.replace(/[?&]limit=1000$/, '')
  expect({ method: seen?.method, url: asked }).toEqual({ method, url: `/api/v1${url}` })
  expect(seen?.body === '' ? undefined : JSON.parse(seen!.body)).toEqual(body)
})

test('the key is printed as it is, for a file', async () => {
  cli.replies.push({ body: { items: [], next_cursor: null } })
  cli.replies.push({ body: '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n' })
  const { code, out } = await cli.run(['ade-servers', 'key', 's'])
  expect({ code, out }).toEqual({
    code: 0,
    out: '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n',
  })
})

test('the token travels as the bytes of its file', async () => {
  const file = await fileOf('token.p7m', 'MIME-Version: 1.0\r\n')
  const { code } = await cli.run(['ade-servers', 'token', 's', file, '--apple-id', 'it@example.ch'])
  expect(code).toBe(0)
  expect(cli.requests.at(-1)).toMatchObject({
    method: 'PUT',
    url: '/api/v1/ade-servers/s/token?apple_id=it%40example.ch',
    body: 'MIME-Version: 1.0\r\n',
  })
  expect(cli.requests.at(-1)?.headers['content-type']).toBe('application/pkcs7-mime')
})

test('a list of serial numbers travels as CSV', async () => {
  const file = await fileOf('phones.csv', 'F1,Ada\nF2,Bea\n')
  expect(await cli.run(['enrollment-policies', 'assign', 'p', '--csv', file])).toMatchObject({ code: 0 })
  expect(cli.requests.at(-1)).toMatchObject({
    url: '/api/v1/enrollment-policies/p/assign',
    body: 'F1,Ada\nF2,Bea\n',
  })
  expect(cli.requests.at(-1)?.headers['content-type']).toBe('text/csv')
})

test('a policy comes from a file, a password too', async () => {
  const policy = await fileOf('policy.json', '{ "ade": { "locked": true } }')
  await cli.run(['enrollment-policies', 'create', 'Sales', '--file', policy])
  expect(JSON.parse(cli.requests[0]!.body)).toEqual({ name: 'Sales', ade: { locked: true } })
  const password = await fileOf('password', 'hunter2\n')
  await cli.run(['sign-in-sources', 'test', 'i', 'ada', '--password-file', password])
  expect(JSON.parse(cli.requests.at(-1)!.body)).toEqual({ user_name: 'ada', password: 'hunter2' })
})

describe('wrong usage', () => {
  test.each([
    ['enrollment-policies assign p', 'one of --serial-number, --csv and --all-of is needed'],
    ['enrollment-policies assign p --all-of s --serial-number F1', 'one of --serial-number'],
    ['enrollment-policies update p', 'nothing to change is given'],
    ['enrollment-policies create x --json {} --file y', 'y'],
    ['ade-devices release F1', '--confirm is missing'],
    ['ade-servers token s nowhere.p7m', 'nowhere.p7m'],
    ['sign-in-sources create x', '--kind is missing: one of ws_trust, oidc'],
  ])('%s', async (line, message) => {
    const { code, err } = await cli.run(line.split(' '))
    expect(code).toBe(2)
    expect(err).toContain(message)
    expect(cli.requests).toEqual([])
  })

  test('a file that holds no JSON object', async () => {
    const file = await fileOf('list.json', '[]')
    const { code, err } = await cli.run(['enrollment-policies', 'update', 'p', '--file', file])
    expect(code).toBe(2)
    expect(err).toContain('its content is not a JSON object')
  })
})

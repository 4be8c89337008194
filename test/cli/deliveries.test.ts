import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { useCli } from './harness.ts'

const cli = useCli()
const DEVICE = '00008259-004C35C5752C2C86'
const UUID = '01a211f7-6ab7-72b1-998e-92c321710e00'
const RULE = '{"fact":"platform","op":"eq","value":"ios"}'
const rule = JSON.parse(RULE) as unknown
const page = (...items: object[]) => ({ body: { items, next_cursor: null } })
let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'cli-'))
})
afterAll(() => rm(folder, { recursive: true }))
afterEach(() => {
  vi.restoreAllMocks()
})

async function fileOf(name: string, content: string | Buffer): Promise<string> {
  const file = path.join(folder, name)
  await writeFile(file, content)
  return file
}

test.each<[string[], string, string, unknown?]>([
  [['devices', 'groups', DEVICE], 'GET', `/devices/${DEVICE}/groups`],
  [['devices', 'deliveries', DEVICE], 'GET', `/devices/${DEVICE}/deliveries`],
  [['devices', 'retry', DEVICE], 'POST', `/devices/${DEVICE}/deliveries/retry`, {}],
  [
    ['profiles', 'retry', UUID, '--failed', '--force'],
    'POST',
    `/profiles/${UUID}/deliveries/retry`,
    { state: 'failed', force: true },
  ],
  [['devices', 'lock', DEVICE, '--message', 'Hi'], 'POST', `/devices/${DEVICE}/lock`, { message: 'Hi' }],
  [['devices', 'erase', DEVICE], 'POST', `/devices/${DEVICE}/erase`, {}],
  [
    ['devices', 'erase', DEVICE, '--return-to-service', '--obliteration', 'always'],
    'POST',
    `/devices/${DEVICE}/erase`,
    { return_to_service: {}, obliteration: 'always' },
  ],
  [
    ['devices', 'erase', DEVICE, '--wifi-profile', UUID],
    'POST',
    `/devices/${DEVICE}/erase`,
    { return_to_service: { wifi_profile_id: UUID } },
  ],
  [['devices', 'clear-passcode', DEVICE], 'POST', `/devices/${DEVICE}/clear-passcode`],
  [
    ['devices', 'lost-mode', DEVICE, 'on', '--phone-number', '+41 31 555 01 00'],
    'POST',
    `/devices/${DEVICE}/lost-mode`,
    { enabled: true, phone_number: '+41 31 555 01 00' },
  ],
  [['devices', 'lost-mode', DEVICE, 'off'], 'POST', `/devices/${DEVICE}/lost-mode`, { enabled: false }],
  [['devices', 'locate', DEVICE], 'POST', `/devices/${DEVICE}/locate`],
  [['devices', 'restart', DEVICE], 'POST', `/devices/${DEVICE}/restart`],
  [['devices', 'shut-down', DEVICE], 'POST', `/devices/${DEVICE}/shut-down`],
  [['devices', 'rename', DEVICE, 'Lobby'], 'POST', `/devices/${DEVICE}/rename`, { device_name: 'Lobby' }],
  [['devices', 'refresh', DEVICE], 'POST', `/devices/${DEVICE}/refresh`],
  [['devices', 'lock-pin', DEVICE], 'GET', `/devices/${DEVICE}/lock-pin`],
  [['devices', 'bypass-code', DEVICE], 'GET', `/devices/${DEVICE}/activation-lock-bypass-code`],
  [
    ['groups', 'create', 'iPhones', '--rule', RULE],
    'POST',
    '/groups',
    { kind: 'dynamic', name: 'iPhones', rule },
  ],
  [['groups', 'create', 'Few'], 'POST', '/groups', { name: 'Few' }],
  [['groups', 'update', UUID, '--rule', RULE], 'PATCH', `/groups/${UUID}`, { rule }],
  [['groups', 'preview', '--rule', RULE], 'POST', '/groups/preview', { rule }],
  [['groups', 'contents', UUID], 'GET', `/groups/${UUID}/contents`],
  [
    ['groups', 'put-contents', UUID, '--dry-run', '--contents', '{"items":[]}'],
    'PUT',
    `/groups/${UUID}/contents?dry_run=true`,
    { items: [] },
  ],
  [
    ['groups', 'put-contents', UUID, '--critical', '--app', UUID, '--profile', UUID],
    'PUT',
    `/groups/${UUID}/contents`,
    {
      items: [
        { kind: 'profile', id: UUID, critical: true },
        { kind: 'app', id: UUID, critical: true },
      ],
    },
  ],
  [['groups', 'status', UUID, '--state', 'failed'], 'GET', `/groups/${UUID}/status?state=failed`],
  [['profiles', 'list', '--name', 'Wi-Fi'], 'GET', '/profiles?name=Wi-Fi'],
  [['profiles', 'rename', UUID, 'WLAN'], 'PATCH', `/profiles/${UUID}`, { name: 'WLAN' }],
  [['profiles', 'delete', UUID], 'DELETE', `/profiles/${UUID}`],
  [
    ['apps', 'create', 'Pages', '--store-id', '361309726', '--device-licence', 'true'],
    'POST',
    '/apps',
    { kind: 'store', name: 'Pages', itunes_store_id: 361309726, device_licence: true },
  ],
  [['apps', 'create', 'Ours'], 'POST', '/apps', { kind: 'enterprise', name: 'Ours' }],
  [
    ['apps', 'update', UUID, '--min-os-version', 'none', '--configuration', '{"a":1}', '--rollout'],
    'PATCH',
    `/apps/${UUID}?rollout=true`,
    { min_os_version: null, configuration: { a: 1 } },
  ],
  [['apps', 'delete', UUID], 'DELETE', `/apps/${UUID}`],
  [['secrets', 'delete', 'wifi.key'], 'DELETE', '/secrets/wifi.key'],
  [
    [
      'rollouts',
      'start',
      '--profile',
      UUID,
      '--group',
      UUID,
      '--percent',
      '1,10,100',
      '--advance-after',
      '60',
    ],
    'POST',
    '/rollouts',
    {
      kind: 'profile',
      id: UUID,
      advance_after_minutes: 60,
      rings: [{ group_id: UUID }, { percent: 1 }, { percent: 10 }, { percent: 100 }],
    },
  ],
  [['rollouts', 'list', '--app', UUID], 'GET', `/rollouts?thing_id=${UUID}`],
  [['rollouts', 'roll-back', UUID], 'POST', `/rollouts/${UUID}/roll-back`],
  [['predictions', 'get', '--serial-number', 'F1'], 'POST', '/predictions', { serial_number: 'F1' }],
  [
    ['predictions', 'get', '--device', DEVICE, '--group', UUID, '--contents', '{"items":[]}'],
    'POST',
    '/predictions',
    { device_id: DEVICE, contents: { group_id: UUID, items: [] } },
  ],
  [['changes', 'stop', 'c'], 'POST', '/changes/c/stop'],
  [['command-types', 'list', '--type', 'DeviceLock'], 'GET', '/command-types?request_type=DeviceLock'],
])('%j', async (argv, method, url, body) => {
  if (method === 'GET') cli.replies.push(page())
  const { code, err } = await cli.run(argv)
  expect(code, err).toBe(0)
  const seen = cli.requests.at(-1)!
  expect(cli.requests).toHaveLength(1)
  const asked = seen.url.replace(/[?&]limit=1000$/, '')
  expect({ ...seen, url: asked.slice('/api/v1'.length) }).toMatchObject({ method, url })
  expect(seen.body === '' ? undefined : JSON.parse(seen.body)).toEqual(body)
})

describe('files', () => {
  test('a profile is sent as it is, as the next revision too', async () => {
    const file = await fileOf('wifi.mobileconfig', '<plist/>')
    await cli.run(['profiles', 'upload', file, '--name', 'Wi-Fi', '--force'])
    await cli.run(['profiles', 'replace', UUID, file, '--rollout'])
    expect(cli.requests).toMatchObject([
      { method: 'POST', url: '/api/v1/profiles?name=Wi-Fi&force=true', body: '<plist/>' },
      { method: 'PUT', url: `/api/v1/profiles/${UUID}?rollout=true`, body: '<plist/>' },
    ])
    expect(cli.requests[0]?.headers).toMatchObject({
      'content-type': 'application/x-apple-aspen-config',
      'content-length': '8',
    })
  })

  test('a package is read while it is sent', async () => {
    const file = await fileOf('ours.ipa', '')
    await truncate(file, 8 * 1024 * 1024)
    const { code } = await cli.run(['apps', 'upload', UUID, file])
    expect(code).toBe(0)
    expect(cli.requests[0]).toMatchObject({ method: 'PUT', url: `/api/v1/apps/${UUID}/package` })
    expect(cli.requests[0]?.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': String(8 * 1024 * 1024),
    })
    expect(cli.requests[0]?.body.length).toBe(8 * 1024 * 1024)
  })

  test('a rule and contents come from files too', async () => {
    const file = await fileOf('rule.json', `${RULE}\n`)
    await cli.run(['groups', 'preview', '--rule', file])
    expect(JSON.parse(cli.requests[0]!.body)).toEqual({ rule })
  })

  test('a profile comes back as it was, printed only if it is text', async () => {
    const signed = Buffer.from([0x30, 0x82, 0xff, 0xfe])
    const to = path.join(folder, 'back.mobileconfig')
    cli.replies.push({ bytes: signed }, { bytes: Buffer.from('<plist/>\n') }, { bytes: signed })
    const kept = await cli.run(['profiles', 'content', UUID, '--revision', '2', '--to', to])
    expect(kept).toMatchObject({ code: 0, out: '', err: `4 bytes are in ${to}.\n` })
    expect(await readFile(to)).toEqual(signed)
    expect(cli.requests[0]?.url).toBe(`/api/v1/profiles/${UUID}/content?revision=2`)
    expect((await cli.run(['profiles', 'content', UUID])).out).toBe('<plist/>\n')
    const refused = await cli.run(['profiles', 'content', UUID])
    expect(refused).toMatchObject({ code: 2, out: '' })
    expect(refused.err).toContain('say --to FILE')
  })
})

describe('a secret', () => {
  test('comes from a file', async () => {
    const file = await fileOf('secret', 'hunter2\n')
    await cli.run(['secrets', 'put', 'wifi.key', '--value-file', file])
    expect(cli.requests[0]).toMatchObject({ method: 'PUT', url: '/api/v1/secrets/wifi.key' })
    expect(JSON.parse(cli.requests[0]!.body)).toEqual({ value: 'hunter2' })
  })

  test('comes from a pipe', async () => {
    vi.spyOn(process, 'stdin', 'get').mockReturnValue(Readable.from([Buffer.from('hunter2\n')]) as never)
    await cli.run(['secrets', 'put', 'wifi.key', '--value-file', '-'])
    expect(JSON.parse(cli.requests[0]!.body)).toEqual({ value: 'hunter2' })
  })
})

test('profiles, apps and groups are called by their names, and rollouts by the beginning of an id', async () => {
  cli.replies.push(
    page({ id: 'g-1', name: 'Everyone' }),
    page({ id: 'p-1', name: 'Wi-Fi', identifier: 'com.example.wifi' }),
    page({ id: 'a-1', name: 'Pages', identifier: 'com.apple.Pages' }),
  )
  const line = ['groups', 'put-contents', 'everyone', '--profile', 'COM.example.wifi', '--app', 'pag']
  expect((await cli.run(line)).code).toBe(0)
  const { url, body } = cli.requests.at(-1)!
  expect(url).toBe('/api/v1/groups/g-1/contents')
  expect(JSON.parse(body)).toMatchObject({ items: [{ id: 'p-1' }, { id: 'a-1' }] })
  cli.replies.push(page({ id: 'r-12' }, { id: 'r-2' }))
  await cli.run(['rollouts', 'halt', 'r-1'])
  expect(cli.requests.at(-1)?.url).toBe('/api/v1/rollouts/r-12/halt')
})

describe('answers', () => {
  test('the groups that bring a thing are told by their names', async () => {
    const because = ['Sales', 'All'].map((group_name) => ({ group_id: 'g', group_name }))
    cli.replies.push(page({ kind: 'profile', name: 'Wi-Fi', state: 'installed', because }))
    const { out } = await cli.run(['devices', 'deliveries', DEVICE])
    expect(out).toMatch(/^KIND +NAME .*\nprofile +Wi-Fi .* installed .* Sales, All\n$/)
  })

  test('contents that were written are told with their change', async () => {
    cli.replies.push({ body: { items: [{ kind: 'profile', id: 'p-1' }], change_id: 'c-1', warnings: [] } })
    const { out } = await cli.run(['groups', 'put-contents', UUID, '--profile', UUID])
    expect(out).toContain('change_id  c-1')
    expect(out).toContain('  KIND     ID\n  profile  p-1')
  })

  test('a status is a count, or a list of devices, every page of it', async () => {
    cli.replies.push({ body: { counts: { failed: 1 } } })
    expect((await cli.run(['apps', 'status', UUID])).out).toBe('counts\n  failed  1\n')
    const items = [{ device_id: 'd-1', kind: 'app', id: 'a-1', reason: 'os_version' }]
    cli.replies.push({ body: { counts: {}, items, next_cursor: 'x' } })
    cli.replies.push({ body: { counts: {}, items: [{ ...items[0], device_id: 'd-2' }], next_cursor: null } })
    const { out } = await cli.run(['apps', 'status', UUID, '--state', 'waiting'])
    expect(out).toContain('d-1')
    expect(out).toContain('d-2')
  })

  test('a change is waited for', async () => {
    cli.replies.push(
      { body: { items: [], change_id: 'c-1', warnings: [] } },
      { body: { id: 'c-1', state: 'stopped' } },
    )
    const line = ['groups', 'put-contents', UUID, '--contents', '{"items":[]}', '--wait']
    expect((await cli.run(line)).code).toBe(1)
    expect(cli.requests.at(-1)?.url).toBe('/api/v1/changes/c-1')
  })

  test('an act is waited for', async () => {
    cli.replies.push(
      { body: { command_uuid: UUID, warnings: [] } },
      { body: { uuid: UUID, deliveries: [{ state: 'acknowledged' }] } },
    )
    expect((await cli.run(['devices', 'restart', DEVICE, '--wait'])).code).toBe(0)
    expect(cli.requests.at(-1)?.url).toBe(`/api/v1/commands/${UUID}`)
  })
})

describe('refusals', () => {
  test('name the place in a rule', async () => {
    const errors = [{ pointer: '/rule/fact', detail: 'There is no such fact.' }]
    cli.replies.push({ status: 422, body: { title: 'No.', detail: 'The rule is wrong.', errors } })
    const { code, err } = await cli.run(['groups', 'preview', '--rule', RULE])
    expect({ code, err }).toEqual({ code: 1, err: 'No. (422)\n  --rule/fact: There is no such fact.\n' })
  })

  test('name what uses a thing, and the devices that a command does not suit', async () => {
    const used_by = [{ kind: 'group', id: 'g-1', name: 'Sales' }]
    cli.replies.push({ status: 409, body: { title: 'It is in use.', code: 'in_use', used_by } })
    expect((await cli.run(['profiles', 'delete', UUID])).err).toBe(
      'It is in use. (in_use, 409)\n  group Sales (g-1)\n',
    )
    const devices = [{ device_id: DEVICE, reasons: ['supervision'], details: ['It is not supervised.'] }]
    cli.replies.push({ status: 422, body: { title: 'No.', devices } })
    expect((await cli.run(['devices', 'restart', DEVICE])).err).toBe(
      `No. (422)\n  ${DEVICE}: It is not supervised.\n`,
    )
  })
})

describe('wrong usage', () => {
  test.each([
    [['groups', 'preview'], '--rule is missing'],
    [['groups', 'preview', '--rule', '{"all"'], 'is not a JSON object'],
    [['groups', 'preview', '--rule', '/nowhere'], 'ENOENT'],
    [['groups', 'update', UUID], 'nothing to change is given'],
    [['groups', 'put-contents', UUID], '--contents, --profile or --app is missing'],
    [['groups', 'put-contents', UUID, '--contents', '{}', '--profile', 'p'], 'does not go with'],
    [['profiles', 'upload', '/nowhere'], 'file: ENOENT'],
    [['profiles', 'upload', '/tmp'], 'is no file'],
    [['apps', 'create', 'a', '--store-id', '1', '--manifest-url', 'https://x/'], 'do not go together'],
    [['secrets', 'put', 'a'], '--value-file is missing'],
    [['secrets', 'put', 'a', 'hunter2'], 'one argument too many'],
    [['rollouts', 'start', '--percent', '1'], 'one of --profile and --app'],
    [['rollouts', 'start', '--profile', UUID], '--percent or --group is missing'],
    [['rollouts', 'start', '--profile', UUID, '--percent', '1,,10'], 'is not shares such as 1,10,100'],
    [['rollouts', 'start', '--profile', UUID, '--percent', '101'], 'is not shares such as'],
    [['predictions', 'get'], 'one of --device and --serial-number'],
    [['predictions', 'get', '--serial-number', 'F1', '--group', UUID], '--group and --contents'],
    [['devices', 'lost-mode', DEVICE, 'maybe'], '<on|off> is on or off'],
    [['devices', 'lost-mode', DEVICE, 'off', '--message', 'x'], 'without a message'],
  ])('%j', async (argv, message) => {
    const { code, out, err } = await cli.run(argv)
    expect(err).toContain(message)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(cli.requests).toEqual([])
  })
})

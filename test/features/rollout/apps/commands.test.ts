import { describe, expect, test } from 'vitest'
import {
  type AppDevice,
  changeCommand,
  installCommand,
  removeCommand,
} from '../../../../src/features/rollout/apps/commands.ts'
import { fillConfiguration, renderingOf } from '../../../../src/features/rollout/apps/configuration.ts'
import { DEFAULT_OPTIONS, variablesOf } from '../../../../src/features/rollout/apps/options.ts'
import type { AppFacts, AppOptions } from '../../../../src/features/rollout/apps/types.ts'

const PHONE: AppDevice = { platform: 'ios', os_version: '18.1', type: 'device' }
const MAC: AppDevice = { platform: 'macos', os_version: '15.0', type: 'device' }
const OLD_MAC: AppDevice = { ...MAC, os_version: '10.14.6' }
const OF_PERSON: AppDevice = { ...PHONE, type: 'user_enrollment_device' }
const MANIFEST = 'https://mdm.example.org/apps/key/manifest.plist'
const NONE = new Map<string, string | null>()

function facts(options: Partial<AppOptions> = {}, more: Partial<AppFacts> = {}): AppFacts {
  const all = { ...DEFAULT_OPTIONS, ...options }
  return {
    id: 'app',
    revision: 1,
    kind: 'store',
    itunes_store_id: 361309726,
    identifier: 'com.apple.Pages',
    manifest_url: null,
    hosted: null,
    min_os_version: all.min_os_version,
    options: all,
    variables: variablesOf(all.configuration),
    ...more,
  }
}

const enterprise = (options: Partial<AppOptions> = {}, more: Partial<AppFacts> = {}) =>
  facts(options, { kind: 'enterprise', itunes_store_id: null, manifest_url: MANIFEST, ...more })
const HOSTED = { package_id: 'p', version: '1', short_version: null, platforms: [] }
const PLAIN = { remove_with_enrollment: false }

describe('what installs an app', () => {
  test.each<[string, AppFacts, AppDevice, string, object]>([
    ['store', facts(), PHONE, 'InstallApplication', { iTunesStoreID: 361309726, ManagementFlags: 1 }],
    ['both options off', facts(PLAIN), PHONE, 'InstallApplication', { iTunesStoreID: 361309726 }],
    [
      'everything',
      facts({ prevent_backup: true, take_over: true, device_licence: true, configuration: { a: 1 } }),
      PHONE,
      'InstallApplication',
      {
        iTunesStoreID: 361309726,
        Options: { PurchaseMethod: 1 },
        ManagementFlags: 5,
        Configuration: { a: 1 },
        ChangeManagementState: 'Managed',
      },
    ],
    [
      'no taking over on a user enrollment',
      facts({ ...PLAIN, take_over: true }),
      OF_PERSON,
      'InstallApplication',
      { iTunesStoreID: 361309726 },
    ],
    [
      'by a manifest',
      enterprise({ ...PLAIN, prevent_backup: true }),
      PHONE,
      'InstallApplication',
      { ManifestURL: MANIFEST, ManagementFlags: 4 },
    ],
    [
      'by a manifest on a Mac',
      enterprise({ prevent_backup: true }),
      MAC,
      'InstallEnterpriseApplication',
      { ManifestURL: MANIFEST, ManagementFlags: 1, InstallAsManaged: true },
    ],
    [
      'by a manifest on a Mac, not managed',
      enterprise(PLAIN),
      MAC,
      'InstallEnterpriseApplication',
      { ManifestURL: MANIFEST },
    ],
    [
      'on a Mac before it managed apps',
      enterprise({ take_over: true, configuration: { a: 1 } }),
      OLD_MAC,
      'InstallEnterpriseApplication',
      { ManifestURL: MANIFEST },
    ],
    [
      'store on a Mac',
      facts({ prevent_backup: true }),
      MAC,
      'InstallApplication',
      { iTunesStoreID: 361309726, ManagementFlags: 5, InstallAsManaged: true },
    ],
    [
      'on the Mac of a person',
      enterprise({ take_over: true, configuration: { a: 1 } }),
      { ...MAC, type: 'user_enrollment_device' },
      'InstallEnterpriseApplication',
      { ManifestURL: MANIFEST, Configuration: { a: 1 } },
    ],
  ])('%s', (_, app, device, requestType, command) => {
    expect(installCommand(app, NONE, device)).toEqual({ ok: true, requestType, command })
  })

  test.each<[string, AppFacts, AppDevice]>([
    ['package_missing', enterprise({}, { manifest_url: null }), PHONE],
    ['platform', enterprise({}, { hosted: HOSTED }), MAC],
    ['os_version', facts({ min_os_version: '18.2' }), PHONE],
    ['enrollment_type', facts({ device_licence: true }), OF_PERSON],
    ['variable_missing', facts({ configuration: { a: '{{user.email}}' } }), PHONE],
    ['variable_invalid', facts({ configuration: { a: '{{device.name}}' } }), PHONE],
  ])('or why not: %s', (reason, app, device) => {
    const values = new Map([['device.name', 'a\u0001b']])
    expect(installCommand(app, values, device)).toMatchObject({ ok: false, reason })
  })

  test('an OS that is not told, or the one that is needed, is taken', () => {
    const app = facts({ ...PLAIN, min_os_version: '18.1' })
    expect(installCommand(app, NONE, PHONE).ok).toBe(true)
    expect(installCommand(app, NONE, { ...PHONE, os_version: null }).ok).toBe(true)
  })
})

describe('what changes an installed app', () => {
  const before = facts({ configuration: { a: 1 } })
  const settings = (item: object) => ({
    ok: true,
    requestType: 'Settings',
    command: { Settings: [{ Item: 'ApplicationConfiguration', Identifier: 'com.apple.Pages', ...item }] },
  })

  test('nothing, where nothing that is sent differs', () => {
    const options = { configuration: { a: 1 }, take_over: true, device_licence: true, min_os_version: '20' }
    expect(changeCommand(before, facts(options), NONE, PHONE)).toBeNull()
  })

  test('another configuration alone', () => {
    const after = facts({ configuration: { a: '{{device.name}}' } })
    const values = new Map([['device.name', '{{user.email}}']])
    const expected = settings({ Configuration: { a: '{{user.email}}' } })
    expect(changeCommand(before, after, values, PHONE)).toEqual(expected)
    expect(changeCommand(after, after, values, MAC)).toEqual(expected)
    expect(changeCommand(before, facts(), NONE, PHONE)).toEqual(settings({}))
    expect(changeCommand(before, after, NONE, PHONE)).toMatchObject({ reason: 'variable_missing' })
    expect(changeCommand(before, after, values, OLD_MAC)).toBeNull()
  })

  test('an install for another package, other flags, or where nobody knows the identifier', () => {
    const install = { ok: true, requestType: 'InstallApplication' }
    const other = enterprise({}, { manifest_url: `${MANIFEST}2` })
    expect(changeCommand(enterprise(), other, NONE, PHONE)).toMatchObject(install)
    expect(changeCommand(facts(), facts({ prevent_backup: true }), NONE, PHONE)).toMatchObject(install)
    const unknown = facts({ configuration: { b: 1 } }, { identifier: null })
    expect(changeCommand(before, unknown, NONE, PHONE)).toMatchObject(install)
  })
})

test('what removes one needs its identifier', () => {
  const command = { Identifier: 'com.apple.Pages' }
  expect(removeCommand(facts())).toEqual({ ok: true, requestType: 'RemoveApplication', command })
  expect(removeCommand({ identifier: null })).toMatchObject({ ok: false, reason: 'identifier_unknown' })
})

test('renderings differ by the values of the variables, but not by the OS version', () => {
  const app = facts({ configuration: { a: ['{{device.name}} {{device.os_version}}'], b: '{{secret.KEY}}' } })
  expect(app.variables).toEqual(['device.name', 'device.os_version', 'secret.KEY'])
  const render = (values: Record<string, string | null>) => renderingOf(app, new Map(Object.entries(values)))
  const one = render({ 'device.name': 'a', 'device.os_version': '17', 'secret.KEY': '1' })
  expect(render({ 'device.name': 'a', 'device.os_version': '18', 'secret.KEY': '1' })).toBe(one)
  expect(render({ 'device.name': 'b', 'device.os_version': '17', 'secret.KEY': '1' })).not.toBe(one)
  expect(render({ 'device.name': 'a', 'secret.KEY': '2' })).not.toBe(one)
  expect(renderingOf(facts(), NONE)).toBe('')
  expect(renderingOf(facts({ configuration: { a: '{{device.os_version}}' } }), NONE)).toBe('')
})

test('a configuration carries data, dates and all else, and names all that is missing', () => {
  const configuration = {
    text: '{{user.email|none}} {{device.udid}}',
    data: { $data: 'AQI=' },
    date: { $date: '2026-11-30T10:00:00Z' },
    list: [1, 1.5, true, { deep: '{{device.udid}}' }],
  }
  const filled = fillConfiguration(facts({ configuration }), new Map([['device.udid', 'U']]))
  expect(filled).toEqual({
    ok: true,
    configuration: {
      text: 'none U',
      data: Buffer.of(1, 2),
      date: new Date('2026-11-30T10:00:00Z'),
      list: [1, 1.5, true, { deep: 'U' }],
    },
  })
  const missing = { a: '{{user.email}}', b: ['{{policy.name}} {{user.email}}'] }
  expect(fillConfiguration(facts({ configuration: missing }), NONE)).toMatchObject({
    reason: 'variable_missing',
    detail: 'user.email, policy.name',
  })
})

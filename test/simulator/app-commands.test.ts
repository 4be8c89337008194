import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { PlistDict } from '../../src/protocol/plist/index.ts'
import type { Device, DeviceOptions } from '../../src/simulator/index.ts'
import { ask, chainOf } from './configuration-world.ts'
import { command, useStage } from './enrolled.ts'
import { piecesOf, startPackageServer, type PackageTrouble } from './package-server.ts'

const stage = useStage()
let packages: Awaited<ReturnType<typeof startPackageServer>>
beforeAll(async () => {
  packages = await startPackageServer()
})
beforeEach(() => packages.reset())
afterAll(() => packages.close())

const LICENCE = { Options: { PurchaseMethod: 1 } }
const BUNDLE = 'ch.example.store.app361309726'
const STORE = { iTunesStoreID: 361_309_726, ...LICENCE }

/** Status by bundle id, as ManagedApplicationList tells it. */
async function managed(device: Device, keys = {}): Promise<Record<string, unknown>> {
  const list = (await ask(stage, device, 'ManagedApplicationList', keys))[
    'ManagedApplicationList'
  ] as PlistDict
  return Object.fromEntries(Object.entries(list).map(([id, app]) => [id, (app as PlistDict)['Status']]))
}

/** A device on which that app is managed. */
async function withApp(options: Partial<DeviceOptions> = {}, keys = {}): Promise<Device> {
  const device = await stage.enrolled({ apps: { steps: 'at once' }, ...options })
  await ask(stage, device, 'InstallApplication', { ...STORE, ...keys })
  await managed(device)
  return device
}

const unsupervised = () => ({ facts: { ...stage.device().facts, supervised: false } })
const mac = () => ({ facts: { ...stage.device().facts, platform: 'macos' as const } })

describe('an app of the App Store', () => {
  test('with a licence goes from Queued to Managed, a step each time that it is told', async () => {
    const device = await stage.enrolled()
    const answer = await ask(stage, device, 'InstallApplication', { ...STORE, ManagementFlags: 1 })
    expect(answer).toMatchObject({ Status: 'Acknowledged', Identifier: BUNDLE, State: 'Queued' })
    for (const state of ['Queued', 'Installing', 'Managed', 'Managed'])
      expect(await managed(device)).toEqual({ [BUNDLE]: state })
    expect(device.view().apps).toMatchObject([
      { identifier: BUNDLE, managed: true, version: '1.0', flags: 1 },
    ])
  })

  test('is listed as installing, then as installed', async () => {
    const device = await stage.enrolled({ appCount: 0 })
    await ask(stage, device, 'InstallApplication', STORE)
    const look = async () =>
      (await ask(stage, device, 'InstalledApplicationList'))['InstalledApplicationList']
    expect(await look()).toEqual([])
    expect(await look()).toMatchObject([{ Identifier: BUNDLE, Installing: true, DeviceBasedVPP: true }])
    expect(await look()).toMatchObject([{ Identifier: BUNDLE, Installing: false }])
  })

  test.each([
    ['without licence and account', {}, undefined, 'PromptingForLogin'],
    ['without licence, with account', {}, { account: true }, 'Queued'],
    ['that is paid for', {}, { store: (id: number) => ({ ...named(id), isPaid: true }) }, 'NeedsRedemption'],
  ])('%s', async (_, keys, apps, state) => {
    const device = await stage.enrolled(apps === undefined ? {} : { apps })
    expect(await ask(stage, device, 'InstallApplication', { iTunesStoreID: 5, ...keys })).toMatchObject({
      State: state,
    })
  })

  const named = (id: number) => ({ identifier: `app.${id}`, name: 'App', version: '1.0', storeVersion: 1 })

  test.each([
    ['that no store knows', { store: () => undefined }, 'CouldNotVerifyAppID', 12023],
    [
      'without a licence for it',
      { store: (id: number) => ({ ...named(id), isUnlicensed: true }) },
      'Other',
      12064,
    ],
  ])('%s is refused', async (_, apps, reason, code) => {
    const device = await stage.enrolled({ apps })
    const answer = await ask(stage, device, 'InstallApplication', STORE)
    expect(answer).toMatchObject({ Status: 'Error', RejectionReason: reason })
    expect(chainOf(answer)).toEqual([`MCMDMErrorDomain ${code}`])
    expect(device.view().apps).toEqual([])
  })

  test('is updated when the store has a newer version', async () => {
    let storeVersion = 1
    const store = (id: number) => ({ ...named(id), version: `${storeVersion}.0`, storeVersion })
    const device = await withApp({ apps: { store } })
    await managed(device)
    await managed(device)
    expect(await ask(stage, device, 'InstallApplication', STORE)).toMatchObject({ State: 'Managed' })
    storeVersion = 2
    expect(await ask(stage, device, 'InstallApplication', STORE)).toMatchObject({ State: 'Updating' })
    await managed(device)
    expect(device.view().apps).toMatchObject([{ status: 'Managed', version: '2.0' }])
  })

  test('is refused while it is on its way', async () => {
    const device = await stage.enrolled()
    await ask(stage, device, 'InstallApplication', STORE)
    expect(await ask(stage, device, 'InstallApplication', STORE)).toMatchObject({
      Status: 'Error',
      RejectionReason: 'AppAlreadyQueued',
    })
  })

  test('that the person installed is refused, or taken over', async () => {
    const device = await stage.enrolled()
    device.person.installApp({ identifier: BUNDLE })
    expect(await ask(stage, device, 'InstallApplication', STORE)).toMatchObject({
      Status: 'Error',
      RejectionReason: 'AppAlreadyInstalled',
    })
    expect(await managed(device)).toEqual({})
    const taken = await ask(stage, device, 'InstallApplication', {
      ...STORE,
      ChangeManagementState: 'Managed',
    })
    expect(taken).toMatchObject({ State: 'Managed' })
    expect(await managed(device)).toEqual({ [BUNDLE]: 'Managed' })
  })
})

describe('the person', () => {
  test('of an unsupervised device is asked, and says yes', async () => {
    const device = await stage.enrolled(unsupervised())
    expect(await ask(stage, device, 'InstallApplication', STORE)).toMatchObject({ State: 'Prompting' })
    expect(await managed(device)).toEqual({ [BUNDLE]: 'Prompting' })
    expect(await managed(device)).toEqual({ [BUNDLE]: 'Prompting' })
    expect(device.person.accept()).toBe(1)
    for (const state of ['Queued', 'Installing', 'Managed'])
      expect(await managed(device)).toEqual({ [BUNDLE]: state })
  })

  test('says no, which is told a single time', async () => {
    const device = await stage.enrolled(unsupervised())
    await ask(stage, device, 'InstallApplication', STORE)
    expect(device.person.decline(BUNDLE)).toBe(1)
    expect(await managed(device)).toEqual({ [BUNDLE]: 'UserRejected' })
    expect(await managed(device)).toEqual({})
    expect(await ask(stage, device, 'InstallApplication', STORE)).toMatchObject({ State: 'Prompting' })
  })

  test.each([
    ['accept', 'Managed'],
    ['decline', undefined],
  ] as const)('can be one who always says %s', async (prompts, status) => {
    const device = await stage.enrolled({ ...unsupervised(), apps: { prompts } })
    await ask(stage, device, 'InstallApplication', STORE)
    for (let look = 0; look < 5; look++) await managed(device)
    expect(device.view().apps[0]?.status).toBe(status)
  })

  test('refuses the management of an app of theirs', async () => {
    const device = await stage.enrolled(unsupervised())
    device.person.installApp({ identifier: BUNDLE })
    const asked = await ask(stage, device, 'InstallApplication', {
      ...STORE,
      ChangeManagementState: 'Managed',
    })
    expect(asked).toMatchObject({ State: 'PromptingForManagement' })
    device.person.decline()
    expect(await managed(device)).toEqual({ [BUNDLE]: 'ManagementRejected' })
    expect(await managed(device)).toEqual({})
    expect(device.view().apps).toMatchObject([{ managed: false, version: '1.0' }])
  })

  test('deletes a managed app, and installs it again', async () => {
    const device = await withApp()
    expect(device.person.deleteApp(BUNDLE)).toBe(true)
    expect(await managed(device)).toEqual({ [BUNDLE]: 'ManagedButUninstalled' })
    device.person.installApp({ identifier: BUNDLE })
    expect(await managed(device)).toEqual({ [BUNDLE]: 'Managed' })
  })

  test('cannot delete what may not be removed', async () => {
    const device = await withApp({}, { Attributes: { Removable: false } })
    expect(device.person.deleteApp(BUNDLE)).toBe(false)
  })

  test('is quicker than MDM', async () => {
    const device = await stage.enrolled()
    await ask(stage, device, 'InstallApplication', STORE)
    device.person.installApp({ identifier: BUNDLE })
    expect(await managed(device)).toEqual({ [BUNDLE]: 'UserInstalledApp' })
    expect(await managed(device)).toEqual({})
  })
})

describe('an installation as the test says', () => {
  test.each(['Failed', 'UserRejected', 'UserInstalledApp'] as const)(
    '%s is told a single time',
    async (outcome) => {
      const device = await stage.enrolled({ apps: { outcomes: { [BUNDLE]: [outcome] } } })
      await ask(stage, device, 'InstallApplication', STORE)
      await managed(device)
      await managed(device)
      expect(await managed(device, { Identifiers: ['another'] })).toEqual({})
      expect(await managed(device)).toEqual({ [BUNDLE]: outcome })
      expect(await managed(device)).toEqual({})
    },
  )

  test('the next one goes well', async () => {
    const device = await withApp()
    device.scriptApp(BUNDLE, 'Failed')
    expect(device.view().apps[0]?.status).toBe('Managed')
    await ask(stage, device, 'RemoveApplication', { Identifier: BUNDLE })
    await ask(stage, device, 'InstallApplication', STORE)
    expect(await managed(device)).toEqual({ [BUNDLE]: 'Failed' })
    await ask(stage, device, 'InstallApplication', STORE)
    expect(await managed(device)).toEqual({ [BUNDLE]: 'Managed' })
  })
})

describe('an app of the house', () => {
  const enterprise = () => ({ ManifestURL: `${packages.url}/manifest` })

  test('is fetched in ranges and checked piece by piece', async () => {
    const device = await stage.enrolled({ apps: { steps: 'at once' } })
    packages.asset = { 'md5-size': 10_000, md5s: piecesOf(packages.bytes, 'md5', 10_000) }
    const answer = await ask(stage, device, 'InstallApplication', enterprise())
    expect(answer).toMatchObject({ Identifier: 'ch.example.house', State: 'Queued' })
    expect(await managed(device)).toEqual({ 'ch.example.house': 'Managed' })
    expect(device.view().apps).toMatchObject([{ version: '2.1', sha256: packages.sha256 }])
    expect(packages.requests).toEqual(['GET /manifest', 'HEAD /app.ipa', 'GET /app.ipa'])
  })

  test('is not there before its package is', async () => {
    const device = await stage.enrolled({ apps: { steps: 'at once' } })
    const lists = ['A', 'B', 'C'].map((uuid) => command(uuid, 'ManagedApplicationList'))
    stage.server.queue.push(command('I', 'InstallApplication', enterprise()), ...lists)
    await device.poll()
    expect(stage.server.seen.at(-1)?.message).toMatchObject({
      ManagedApplicationList: { 'ch.example.house': { Status: 'Installing' } },
    })
    expect(await managed(device)).toEqual({ 'ch.example.house': 'Managed' })
  })

  test.each<[string, PackageTrouble, string | undefined]>([
    ['comes whole where ranges are not known', { noRanges: true }, undefined],
    ['fails when other bytes come', { forged: true }, 'wrong sha256'],
    ['fails when it is shorter than HEAD tells', { short: true }, '24999'],
  ])('%s', async (_, trouble, problem) => {
    const device = await stage.enrolled()
    packages.trouble = trouble
    packages.asset = { 'sha256-size': 25_000, sha256s: [packages.sha256] }
    await ask(stage, device, 'InstallApplication', enterprise())
    const [app] = device.view().apps
    expect(app?.status).toBe(problem === undefined ? 'Queued' : 'Failed')
    if (problem !== undefined) expect(app?.problem).toMatch(new RegExp(`${problem}|piece 0`))
  })

  test.each<[string, () => void, number]>([
    ['a manifest that is not there', () => (packages.trouble = { manifest: 404 }), 12033],
    ['one without bundle id', () => (packages.keys = { 'bundle-identifier': '' }), 12033],
    ['one of another kind', () => (packages.keys = { kind: 'hardware' }), 12033],
    ['a package over plain HTTP', () => (packages.asset = { url: 'http://apps.example.ch/a.ipa' }), 12034],
    ['hashes that are none', () => (packages.asset = { 'md5-size': 5, md5s: ['x'] }), 12033],
  ])('is refused for %s', async (_, spoil, code) => {
    const device = await stage.enrolled()
    spoil()
    const answer = await ask(stage, device, 'InstallApplication', enterprise())
    expect(answer).toMatchObject({ Status: 'Error', RejectionReason: 'Other' })
    expect(chainOf(answer)).toEqual([`MCMDMErrorDomain ${code}`])
  })

  test('on a Mac is managed only if the command says so', async () => {
    const device = await stage.enrolled({ ...mac(), appCount: 0, apps: { steps: 'at once' } })
    await ask(stage, device, 'InstallEnterpriseApplication', enterprise())
    const { InstalledApplicationList } = await ask(stage, device, 'InstalledApplicationList')
    expect(InstalledApplicationList).toMatchObject([{ Identifier: 'ch.example.house', Version: '2.1' }])
    expect(await managed(device)).toEqual({})
    await ask(stage, device, 'InstallEnterpriseApplication', { ...enterprise(), InstallAsManaged: true })
    expect(await managed(device)).toEqual({ 'ch.example.house': 'Managed' })
  })

  test('is asked for by another command on a phone', async () => {
    const device = await stage.enrolled()
    const answer = await ask(stage, device, 'InstallEnterpriseApplication', enterprise())
    expect(chainOf(answer)).toEqual(['MCMDMErrorDomain 12021'])
  })
})

describe('afterwards', () => {
  test('configuration and attributes are changed by Settings, and can be asked for', async () => {
    const device = await withApp({}, { Configuration: { server: 'a' } })
    const Settings = [
      { Item: 'ApplicationConfiguration', Identifier: BUNDLE, Configuration: { server: 'b' } },
      { Item: 'ApplicationAttributes', Identifier: BUNDLE, Attributes: { Removable: false } },
      { Item: 'ApplicationConfiguration', Identifier: 'another', Configuration: {} },
    ]
    const { Settings: results } = await ask(stage, device, 'Settings', { Settings })
    expect(results).toMatchObject([
      { Status: 'Acknowledged', Identifier: BUNDLE },
      { Status: 'Acknowledged' },
      { Status: 'Error', ErrorChain: [{ ErrorCode: 12029 }] },
    ])
    const asked = { Identifiers: [BUNDLE, 'another'] }
    expect(await ask(stage, device, 'ManagedApplicationConfiguration', asked)).toMatchObject({
      ApplicationConfigurations: [{ Identifier: BUNDLE, Configuration: { server: 'b' } }],
    })
    expect(await ask(stage, device, 'ManagedApplicationAttributes', asked)).toMatchObject({
      ApplicationAttributes: [{ Identifier: BUNDLE, Attributes: { Removable: false } }],
    })
    expect(await ask(stage, device, 'ManagedApplicationFeedback', asked)).toMatchObject({
      ManagedApplicationFeedback: [{ Identifier: BUNDLE }],
    })
  })

  test('RemoveApplication takes managed apps only, and not in the middle of an installation', async () => {
    const device = await stage.enrolled()
    device.person.installApp({ identifier: 'ch.example.own' })
    const remove = async (Identifier: string) =>
      chainOf(await ask(stage, device, 'RemoveApplication', { Identifier }))
    expect(await remove('ch.example.own')).toEqual(['MCMDMErrorDomain 12029'])
    expect(await remove('ch.example.nothing')).toEqual(['MCMDMErrorDomain 12029'])
    await ask(stage, device, 'InstallApplication', STORE)
    await managed(device)
    expect(await remove(BUNDLE)).toEqual(['MCMDMErrorDomain 12036'])
    expect(await remove(BUNDLE)).toEqual([])
    expect(device.view().apps.map(({ identifier }) => identifier)).toEqual(['ch.example.own'])
  })

  test('an app with flag 1 goes with the enrollment, another one stays and is the person’s', async () => {
    const device = await withApp({}, { ManagementFlags: 1 })
    await ask(stage, device, 'InstallApplication', { iTunesStoreID: 7, ...LICENCE })
    await managed(device)
    device.forget()
    expect(device.view().apps).toMatchObject([{ identifier: 'ch.example.store.app7', managed: false }])
    await device.enroll({ url: `${stage.server.url}/profile` })
    const again = await ask(stage, device, 'InstallApplication', { iTunesStoreID: 7, ...LICENCE })
    expect(again).toMatchObject({ RejectionReason: 'AppAlreadyInstalled' })
  })

  test('InstalledApplicationList takes filters and keys', async () => {
    const device = await withApp()
    const look = async (keys: Record<string, boolean | string[]>) =>
      (await ask(stage, device, 'InstalledApplicationList', keys))['InstalledApplicationList']
    expect(await look({ ManagedAppsOnly: true, Items: ['Identifier', 'Version'] })).toEqual([
      { Identifier: BUNDLE, Version: '1.0' },
    ])
    expect(await look({ Identifiers: ['com.apple.Pages'], Items: ['Name'] })).toEqual([{ Name: 'Pages' }])
    expect(await look({})).toHaveLength(6)
  })

  test.each([
    ['nothing named', {}],
    ['two things named', { iTunesStoreID: 1, Identifier: 'a' }],
    ['a number as text', { iTunesStoreID: '1' }],
    ['flags that there are none of', { iTunesStoreID: 1, ManagementFlags: 3 }],
    ['a configuration that is a text', { iTunesStoreID: 1, Configuration: 'x' }],
  ])('InstallApplication with %s is malformed', async (_, keys) => {
    const device = await stage.enrolled()
    expect(await ask(stage, device, 'InstallApplication', keys)).toMatchObject({
      Status: 'CommandFormatError',
    })
  })
})

test.each([
  ['15.7', 'NotNow'],
  ['16.0', 'Acknowledged'],
])('held in Setup Assistant, iOS %s answers %s to InstallApplication', async (osVersion, status) => {
  const facts = { ...stage.device().facts, osVersion }
  const device = await stage.enrolled({ facts, awaitConfiguration: true })
  expect(await ask(stage, device, 'InstallApplication', STORE)).toMatchObject({ Status: status })
})

import { randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, inject, onTestFinished, test } from 'vitest'
import { createRandom, freePort, startFakeApns } from '../../src/simulator/index.ts'
import { chaosDevices, type ChaosDevice } from '../support/chaos-devices.ts'
import { profileXml } from '../support/delivery-profile.ts'
import { placeOf } from '../support/process-place.ts'
import { PROCESS_ADMIN_TOKEN, serverProcess, type ServerProcess } from '../support/server-process.ts'

/** FIRSTBOOT_TEST_DEVICES=2000: as many devices as a small company has. */
const FEW = 8
const DEVICES = Number(process.env['FIRSTBOOT_TEST_DEVICES'] ?? FEW)
const KILLS = DEVICES > FEW ? 5 : 2
/** Changes that somebody makes at the server, and of the devices for each of them. */
const CHANGES = 6 * KILLS
const ACTS_OF_DEVICES = Math.ceil(DEVICES / 15)
const TIMEOUT_MS = 120 * 60_000
/** Rounds in which devices come until nothing differs any more. */
const MOST_ROUNDS = 100
/** Calls of the API at the same time. */
const CALLS = 8
const TOPIC = 'com.apple.mgmt.External.7e570000-0000-4000-8000-00000000cafe'
/** What is sent once to each device that joins; inventory does not ask for it. */
const ONCE = 'ProvisioningProfileList'

// oxlint-disable-next-line no-explicit-any -- an assertion on a missing property fails by itself
type Json = any
type Random = ReturnType<typeof createRandom>

interface Thing {
  kind: 'profile' | 'app'
  id: string
  identifier: string
  /** What makes its revisions differ. */
  text: string
}

interface Stage {
  server: ServerProcess
  devices: readonly ChaosDevice[]
  random: Random
  things: [Thing, ...Thing[]]
  groups: [string, ...string[]]
  /** Those of them whose members somebody chooses. */
  chosen: [string, ...string[]]
  /** Whose devices get a command once. */
  everyone: string
  made: number
}

async function call(server: ServerProcess, method: string, path: string, body?: unknown): Promise<Json> {
  const answer = await server.api(method, path, body)
  expect([method, path, answer.status, (answer.body as Json)?.errors]).toEqual([
    ...[method, path, expect.toSatisfy((status: number) => status < 300), undefined],
  ])
  return answer.body
}

/** Like `call`, of a profile; one that the server did not answer is made again. */
async function upload(server: ServerProcess, path: string, xml: string): Promise<Json> {
  for (;;) {
    const answer = await fetch(`${server.url}/api/v1${path}`, {
      method: path === '/profiles' ? 'POST' : 'PUT',
      headers: {
        authorization: `Bearer ${PROCESS_ADMIN_TOKEN}`,
        'content-type': 'application/x-apple-aspen-config',
      },
      body: xml,
    }).catch(() => undefined)
    if (answer !== undefined && answer.status < 500) {
      expect([path, answer.status]).toEqual([path, path === '/profiles' ? 201 : 200])
      return answer.json()
    }
    await pause(100)
  }
}

async function makeThings(server: ServerProcess): Promise<Stage['things']> {
  const things: Thing[] = []
  // Two take each other's place, and one is rendered for each device.
  for (const [index, identifier] of ['a', 'b', 'c', 'd', 'same', 'same'].entries()) {
    const text = index === 3 ? '{{device.name}} 1' : `${index} 1`
    const { id } = await upload(
      server,
      '/profiles',
      profileXml({ identifier: `net.chaos.${identifier}`, ssid: text }),
    )
    things.push({ kind: 'profile', id, identifier: `net.chaos.${identifier}`, text })
  }
  for (const number of [1, 2]) {
    const wanted = { kind: 'store', itunes_store_id: number, name: `App ${number}`, device_licence: true }
    const { id } = await call(server, 'POST', '/apps', { ...wanted, configuration: { text: '1' } })
    things.push({ kind: 'app', id, identifier: `ch.example.store.app${number}`, text: '1' })
  }
  return things as Stage['things']
}

async function makeGroups(server: ServerProcess): Promise<Pick<Stage, 'groups' | 'chosen' | 'everyone'>> {
  const isAlpha = { fact: 'device_name', op: 'starts_with', value: 'Alpha' }
  const ids: string[] = []
  for (const group of [
    { kind: 'static' },
    { kind: 'static' },
    { kind: 'static' },
    { kind: 'dynamic', rule: isAlpha },
    { kind: 'dynamic', rule: { all: [{ not: isAlpha }, { fact: 'platform', op: 'eq', value: 'ios' }] } },
  ])
    ids.push((await call(server, 'POST', '/groups', { name: `group ${ids.length}`, ...group })).id)
  const [everyone, one, other] = ids as [string, string, string]
  return { groups: ids as Stage['groups'], chosen: [one, other], everyone }
}

/** Somebody writes what a group delivers. */
async function putContents({ server, random, things, everyone }: Stage, groupId: string): Promise<void> {
  const items: Record<string, unknown>[] = things
    .filter(() => random.chance(0.6))
    .map(({ kind, id }) => ({
      ...{ kind, id, precedence: random.integer(0, 2), critical: random.chance(0.2) },
      exclude: random.chance(0.1),
    }))
  if (groupId === everyone) items.push({ kind: 'command', request_type: ONCE, command: {} })
  await call(server, 'PUT', `/groups/${groupId}/contents`, { items })
}

async function changeAtServer(stage: Stage): Promise<void> {
  const { server, random, devices } = stage
  const some = devices.filter(() => random.chance(0.2)).map(({ device }) => device.facts.udid)
  const group = random.pick(stage.chosen)
  switch (random.integer(0, 5)) {
    case 0:
    case 1:
      return putContents(stage, random.pick(stage.groups))
    case 2:
      return revise(stage, random.pick(stage.things))
    case 3:
    case 4:
      return void (await server.api('POST', `/groups/${group}/members`, { device_ids: some }))
    case 5:
      for (const id of some.slice(0, 50)) await server.api('DELETE', `/groups/${group}/members/${id}`)
  }
}

/** The next revision of a thing. */
async function revise(stage: Stage, thing: Thing): Promise<void> {
  const revision = ++stage.made
  thing.text = thing.text.replace(/\d+$/, String(revision))
  const { kind, id, identifier, text } = thing
  if (kind === 'profile')
    await upload(stage.server, `/profiles/${id}`, profileXml({ identifier, ssid: text }))
  else await call(stage.server, 'PATCH', `/apps/${id}`, { configuration: { text } })
}

/** Something happens to a device, or its person does something. */
function changeOfDevice({ random, things }: Stage, one: ChaosDevice): void {
  const { device } = one
  const thing = random.pick(things)
  const type = random.pick([
    'InstallProfile',
    'RemoveProfile',
    'InstallApplication',
    'Settings',
    'ProfileList',
  ])
  switch (random.integer(0, 9)) {
    case 0:
    case 1:
      device.person.rename(`${random.pick(['Alpha', 'Beta'])} ${device.facts.serialNumber}`)
      return one.poll()
    case 2:
      return void device.person.removeProfile(thing.identifier)
    case 3:
      // What goes before anybody has seen it is asked for for a quarter of an hour.
      if (hasListed(device)) device.person.deleteApp(thing.identifier)
      return
    case 4:
      return device.script(random.pick(['InstallProfile', 'RemoveProfile', 'InstallApplication']), 'Error')
    case 5:
    case 6:
      return device.script(type, 'NotNow')
    case 7:
      return device.lose(random.pick(['before', 'after']), type)
    case 8:
      return void one.next(one.enroll)
    case 9:
      return void one.next(async () => {
        await device.checkOut()
        await pause(random.integer(0, 500))
        await one.enroll()
      })
  }
}

/** Whether the server has a list that came after the last installation. */
function hasListed(device: ChaosDevice['device']): boolean {
  const types = device
    .results()
    .map((one) => (one.acknowledged ? one.requestType : `unheard ${one.requestType}`))
  const last = (type: string) => types.findLastIndex((each) => each.endsWith(type))
  return types.lastIndexOf('ManagedApplicationList') > last('InstallApplication')
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0)

/** Calls for each, some at a time. */
async function forEach<T>(of: readonly T[], act: (item: T) => Promise<unknown>): Promise<void> {
  const left = [...of]
  await Promise.all(
    Array.from({ length: CALLS }, async () => {
      for (let item = left.shift(); item !== undefined; item = left.shift()) await act(item)
    }),
  )
}

/** What a device has, as the thing and its text. */
function has({ device }: ChaosDevice, things: readonly Thing[]): string[] {
  const { profiles, apps } = device.view()
  const textOf = (content: unknown) => /"SSID_STR":"([^"]*)"/.exec(JSON.stringify(content))?.[1]
  return [
    ...profiles.filter(({ managed }) => managed).map((one) => `${one.identifier}: ${textOf(one.content)}`),
    ...apps
      .filter(({ managed, version }) => managed && version !== undefined)
      .map((one) => `${one.identifier}: ${JSON.stringify(one.configuration?.['text']).slice(1, -1)}`),
  ]
    .map((text) => text.replace(device.facts.deviceName, '{{device.name}}'))
    .filter((text) => things.length > 0 && text !== '')
    .toSorted()
}

/** In what a device, what is foretold for it, and its deliveries differ. */
async function differences({ server, things }: Stage, one: ChaosDevice): Promise<string[]> {
  const id = one.device.facts.udid
  const of = (thing: { kind: string; id: string }) =>
    things.find(({ kind, id: its }) => kind === thing.kind && its === thing.id)
  const { items } = await call(server, 'POST', '/predictions', { device_id: id })
  const deliveries = (await call(server, 'GET', `/devices/${id}/deliveries?limit=200`)).items
  const nameOf = (item: Json) => `${item.kind} ${of(item)?.identifier} ${item.id} ${item.revision}`
  const foretold = items.map((item: Json) => `${nameOf(item)} installed`).toSorted()
  const told = deliveries
    .map((item: Json) => `${nameOf(item)} ${item.state}${item.reason === null ? '' : ` (${item.reason})`}`)
    .toSorted()
  const wanted = items.map((item: Json) => `${of(item)?.identifier}: ${of(item)?.text}`).toSorted()
  const onDevice = has(one, things)
  return [
    ...(JSON.stringify(foretold) === JSON.stringify(told)
      ? []
      : [`foretold ${foretold.join(', ')}; told ${told.join(', ')}`]),
    ...(JSON.stringify(wanted) === JSON.stringify(onDevice)
      ? []
      : [`wanted ${wanted.join(', ')}; there ${onDevice.join(', ')}`]),
  ]
}

/**
 * What came although it was there. Of what was taken back while it was under way nobody knows whether it was done, so it comes once more
 * if it is wanted again; and so does what was in the place of something that was, or is rendered by what changes.
 */
async function doublesOf({ server, devices }: Stage): Promise<Json[]> {
  const doubles: Json[] = []
  for (const { device, doubles: all } of devices) {
    const own = all.filter(({ identifier }) => !/^net\.chaos\.(same|d)$/.test(identifier))
    if (own.length === 0) continue
    const { items } = await call(server, 'GET', `/devices/${device.facts.udid}/commands?limit=1000`)
    const takenBack = items.filter(
      (one: Json) =>
        one.state === 'cancelled' && one.sent_at !== null && one.request_type.endsWith('Profile'),
    )
    if (own.length > takenBack.length) doubles.push({ id: device.facts.udid, own, takenBack })
  }
  return doubles
}

/** From now on nobody changes anything, and devices come: until nothing differs any more. */
async function settle(stage: Stage, quiet: () => Promise<void>): Promise<number> {
  const { server, devices, things } = stage
  let open = devices
  for (let round = 0; ; round++) {
    await forEach(open, ({ device }) => server.api('POST', `/devices/${device.facts.udid}/refresh`))
    for (const { kind, id } of things)
      await call(server, 'POST', `/${kind}s/${id}/deliveries/retry`, { state: 'failed' })
    for (let turn = 0; turn < 5; turn++) {
      for (const one of open) one.poll()
      await quiet()
      await pause(500)
    }
    const differing: [ChaosDevice, string[]][] = []
    await forEach(open, async (one) => {
      const found = await differences(stage, one)
      if (found.length > 0) differing.push([one, found])
    })
    if (differing.length === 0) return round
    if (round === MOST_ROUNDS)
      throw new Error(JSON.stringify(differing.slice(0, 10).map(([, found]) => found)))
    open = differing.map(([one]) => one)
  }
}

test.each(['postgres', 'embedded'] as const)(
  'whatever happens, devices end with exactly what is foretold (%s)',
  { timeout: TIMEOUT_MS },
  async (engine) => {
    const began = Date.now()
    const folder = join(inject('runFolder'), randomUUID())
    await mkdir(folder)
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const apns = await startFakeApns()
    onTestFinished(apns.close)
    const location = await placeOf(engine, folder)
    const server = serverProcess({ location, port: await freePort(), apns, folder })
    onTestFinished(() => server.kill())
    await server.start()
    const push = await apns.certificates.pushCertificate(TOPIC)
    await call(server, 'PUT', '/push-certificates', push.certificate + push.key)
    const seed = process.env['FIRSTBOOT_TEST_SEED'] ?? `delivery chaos ${engine}`
    const random = createRandom(seed)
    const things = await makeThings(server)
    const groups = await makeGroups(server)
    const { url } = await call(server, 'POST', '/enrollment-links', {
      ...{ uses: 100_000, group_id: groups.everyone },
    })
    const fleet = chaosDevices({ size: DEVICES, seed, apns, url })
    onTestFinished(fleet.stop)
    const stage: Stage = { server, devices: fleet.all, random, things, ...groups, made: 1 }
    for (const id of stage.groups) await putContents(stage, id)

    let killing = Promise.resolve()
    const kill = () => (killing = killing.then(() => server.kill()).then(() => server.start()))
    const enrolling = Promise.all(fleet.all.map((one) => one.next(one.enroll)))
    await pause(200)
    for (let change = 0; change < CHANGES; change++) {
      if (change % (CHANGES / KILLS) === 3) {
        await killing
        void kill()
      }
      await changeAtServer(stage)
      for (let act = 0; act < ACTS_OF_DEVICES; act++)
        changeOfDevice(stage, random.pick(fleet.all as [ChaosDevice, ...ChaosDevice[]]))
    }
    await enrolling
    await killing
    const rounds = await settle(stage, fleet.quiet)
    fleet.stop()
    const seconds = Math.round((Date.now() - began) / 1_000)
    const commands = sum(fleet.all.map(({ device }) => device.results().length))
    if (DEVICES > FEW)
      process.stdout.write(
        `${engine}: ${DEVICES} devices, ${KILLS} kills, ${commands} commands, ${seconds} s, ${rounds} rounds\n`,
      )

    expect(await doublesOf(stage)).toEqual([])
    expect(fleet.all.flatMap(({ faults }) => faults)).toEqual([])
    expect(fleet.all.flatMap(({ device }) => device.violations())).toEqual([])
    expect(apns.violations).toEqual([])
    expect(fleet.all.filter((one) => one.done(ONCE) > 1)).toEqual([])
    expect(await server.stop()).toBe(0)
  },
)

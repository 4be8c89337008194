import { randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { pino } from 'pino'
import { expect, inject, onTestFinished, test } from 'vitest'
import { openDatabase, type Db } from '../../src/db/index.ts'
import { writePlist } from '../../src/protocol/plist/index.ts'
import {
  createDeviceHttp,
  createFleet,
  createKeyPool,
  freePort,
  startFakeApns,
  type Fleet,
} from '../../src/simulator/index.ts'
import { testKey } from '../support/keys.ts'
import { placeOf } from '../support/process-place.ts'
import { serverProcess, type ServerProcess } from '../support/server-process.ts'

/** FIRSTBOOT_TEST_CHAOS=full: as many devices, commands and crashes as a small installation has, in some minutes. */
const isFull = process.env['FIRSTBOOT_TEST_CHAOS'] === 'full'
const SIZE = isFull ? { devices: 300, commands: 20, kills: 5 } : { devices: 12, commands: 5, kills: 2 }
const TIMEOUT_MS = isFull ? 90 * 60_000 : 15 * 60_000
const TOPIC = 'com.apple.mgmt.External.7e570000-0000-4000-8000-00000000cafe'
const TYPES = [
  'DeviceLock',
  'ProfileList',
  'SecurityInfo',
  'DeviceInformation',
  'Settings',
  'CertificateList',
]

interface Shown {
  deliveries: { device_id: string; state: string }[]
}

/** Queues a command with a UUID of our own for all devices, so that a call without an answer can be made again. */
async function queue(server: ServerProcess, ids: string[], index: number): Promise<string> {
  const uuid = randomUUID()
  const RequestType = TYPES[index % TYPES.length]!
  const keys =
    RequestType === 'DeviceInformation'
      ? { Queries: ['OSVersion'] }
      : RequestType === 'Settings'
        ? { Settings: [] }
        : {}
  const plist = Buffer.from(writePlist({ CommandUUID: uuid, Command: { RequestType, ...keys } }))
  const body = { plist: plist.toString('base64'), device_ids: ids }
  const { status } = await server.api('POST', '/commands', body)
  // A conflict: it was queued by the call whose answer was lost.
  expect([202, 409]).toContain(status)
  return uuid
}

/** Kills the server each time that another part of the work is done, and starts it again. */
async function killAlong(server: ServerProcess, fleet: Fleet, isOver: () => boolean): Promise<number> {
  const work = () =>
    fleet.counter.stats.enrolled + Object.values(fleet.counter.stats.results).reduce((a, b) => a + b, 0)
  const all = SIZE.devices * (SIZE.commands + 1)
  let killed = 0
  while (killed < SIZE.kills && !isOver()) {
    if (work() < (all * (killed + 0.5)) / (SIZE.kills + 1)) {
      await pause(5)
      continue
    }
    await server.kill()
    killed++
    await server.start()
  }
  return killed
}

async function eventsPerDelivery(db: Db): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  const columns = ['type', 'enrollment_id', 'data'] as const
  const rows = await Promise.all([
    db.kysely.selectFrom('events').select(columns).execute(),
    db.kysely.selectFrom('event_outbox').select(columns).execute(),
  ])
  for (const { type, enrollment_id, data } of rows.flat()) {
    if (type !== 'command.acknowledged' && type !== 'command.failed') continue
    const key = `${enrollment_id} ${(data as { command_uuid: string }).command_uuid}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}

/** What the devices know to have been acknowledged is in the database, once. */
async function compare(db: Db, fleet: Fleet, uuids: string[]): Promise<void> {
  const told = await eventsPerDelivery(db)
  const history = await db.kysely
    .selectFrom('delivery_history')
    .select(['enrollment_id', 'command_uuid', 'state'])
    .execute()
  const kept = new Map<string, string[]>()
  for (const { enrollment_id, command_uuid, state } of history) {
    const key = `${enrollment_id} ${command_uuid}`
    kept.set(key, [...(kept.get(key) ?? []), state])
  }
  const states = { Acknowledged: 'acknowledged', Error: 'error', CommandFormatError: 'format_error' }
  const enrollments = await db.kysely.selectFrom('enrollments').selectAll().execute()
  const byId = new Map(enrollments.map((row) => [row.id, row]))
  expect(byId.size).toBe(SIZE.devices)
  for (const device of fleet.devices) {
    const { udid } = device.facts
    const row = byId.get(udid)
    const { push, confirmed } = device.channels()[0]
    expect(confirmed).toBe(true)
    expect(row?.push_token?.toString('hex')).toBe(push?.token.toString('hex'))
    expect(row?.unenrolled_at).toBeNull()
    // A result whose answer was lost in a crash was committed before it or asked for again: it is there once, too.
    for (const { commandUuid, status } of device.results()) {
      const key = `${udid} ${commandUuid}`
      expect({ key, status }).not.toEqual({ key, status: 'NotNow' })
      if (status === 'NotNow') continue
      expect({ key, kept: kept.get(key), told: told.get(key) }).toEqual({
        key,
        kept: [states[status]],
        told: 1,
      })
    }
    for (const uuid of uuids) expect(kept.get(`${udid} ${uuid}`)).toHaveLength(1)
  }
}

/** How many deliveries there are in each state; each device has one of each command. */
async function statesOf(server: ServerProcess, uuids: string[]): Promise<Map<string, number>> {
  const states = new Map<string, number>()
  for (const uuid of uuids) {
    const { deliveries } = (await server.api('GET', `/commands/${uuid}`)).body as Shown
    expect(new Set(deliveries.map((each) => each.device_id)).size).toBe(SIZE.devices)
    expect(deliveries).toHaveLength(SIZE.devices)
    for (const { state } of deliveries) states.set(state, (states.get(state) ?? 0) + 1)
  }
  return states
}

/** Waits until every command has ended. */
async function everythingEnds(server: ServerProcess, fleet: Fleet, uuids: string[]): Promise<void> {
  for (;;) {
    const states = await statesOf(server, uuids)
    const open = ['queued', 'sent', 'not_now'].map((state) => states.get(state) ?? 0)
    const [queued = 0, sent = 0, notNow = 0] = open
    if (queued + sent + notNow === 0) return
    // What was refused with NotNow is pushed for after 15 minutes, and what a killed process was about to push to after
    // two; devices come by themselves as well, which in the quick run happens at once.
    if (!isFull || queued + sent === 0) fleet.pollAll()
    await pause(500)
  }
}

test.each(['postgres', 'embedded'] as const)(
  'nothing that was acknowledged is lost or doubled when the server is killed while devices work (%s)',
  { timeout: TIMEOUT_MS },
  async (engine) => {
    const folder = join(inject('runFolder'), randomUUID())
    await mkdir(folder)
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const location = await placeOf(engine, folder)
    const apns = await startFakeApns()
    onTestFinished(apns.close)
    const server = serverProcess({ location, port: await freePort(), apns, folder })
    await server.start()
    onTestFinished(() => server.kill())
    const push = await apns.certificates.pushCertificate(TOPIC)
    expect((await server.api('PUT', '/push-certificates', push.certificate + push.key)).status).toBe(200)
    const link = (await server.api('POST', '/enrollment-links', { uses: 100_000 })).body as { url: string }

    const http = createDeviceHttp()
    onTestFinished(http.close)
    const fleet = createFleet({
      size: SIZE.devices,
      http,
      seed: `chaos-${engine}`,
      source: () => ({ url: link.url }),
      apns,
      keys: createKeyPool(2, [testKey('device'), testKey('other')]),
      retryMs: 1_000,
      selfPollMs: 500,
      tokenChange: 0.1,
      device: () => ({ patience: 100, mood: { notNow: 0.05, fail: 0.05, formatError: 0.02 } }),
    })
    let over = false
    const killing = killAlong(server, fleet, () => over)
    await fleet.enroll()
    const ids = fleet.devices.map(({ facts }) => facts.udid)
    const uuids: string[] = []
    for (let index = 0; index < SIZE.commands; index++) uuids.push(await queue(server, ids, index))

    await everythingEnds(server, fleet, uuids)
    await fleet.quiet(200)
    over = true
    expect(await killing).toBe(SIZE.kills)
    await fleet.stop()
    expect(fleet.counter.stats).toMatchObject({ enrolled: SIZE.devices, refused: {}, faults: [] })
    expect(fleet.counter.violations).toEqual([])
    expect(apns.violations).toEqual([])
    expect(await server.stop()).toBe(0)

    const db = await openDatabase({ ...location, log: pino({ level: 'silent' }) })
    onTestFinished(db.close)
    await compare(db, fleet, uuids)
  },
)

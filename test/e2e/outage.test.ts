import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase } from '../../src/db/index.ts'
import { createLog } from '../../src/kernel/log.ts'
import type { Device } from '../../src/simulator/index.ts'
import { putMessage, startTestApp, TOPIC, type TestApp } from '../support/app.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { checkIn, identityOf, TOKEN_UPDATE } from '../support/half-enrolled.ts'
import { tcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'

const MINUTE = 60_000

let database: TestDatabase
let proxy: TcpProxy
let world: TestApp
const ofDatabase: string[] = []
beforeAll(async () => {
  database = await testDatabase('postgres')
  const address = new URL(database.location.url!)
  proxy = await tcpProxy(Number(address.port))
  address.port = String(proxy.port)
  const log = createLog({
    level: 'debug',
    destination: { write: (line: string) => void ofDatabase.push(line) },
  })
  world = await startTestApp({ db: await openDatabase({ url: address.toString(), dataDir: '', log }) })
})
afterAll(async () => {
  await proxy.restore()
  await world.close()
  await proxy.cut()
  await database.close()
})

const put = (device: Device, message: Parameters<typeof putMessage>[1]) =>
  putMessage(`${world.url}/mdm/connect`, message, { signer: identityOf(device) })
const ready = async () => (await fetch(`${world.url}/readyz`)).status

test('while the database is gone devices are told to come later, and then everything goes on', async () => {
  const devices = [await world.enrolled(), await world.enrolled(), await world.enrolled()]
  for (const device of devices) await world.introduced(device)
  const ids = devices.map(({ facts }) => facts.udid)
  const { body: command } = await world.api('POST', '/commands', {
    request_type: 'DeviceLock',
    device_ids: ids,
  })
  const link = await world.link()
  const [first, second] = devices as [Device, Device]
  const result = (device: Device) => ({
    Status: 'Acknowledged',
    UDID: device.facts.udid,
    CommandUUID: command.uuid as string,
  })
  expect((await put(first, { Status: 'Idle', UDID: first.facts.udid })).body.toString()).toContain(
    command.uuid,
  )
  expect(await put(first, result(first))).toMatchObject({ status: 200 })

  await proxy.cut()
  for (const device of devices) {
    const { udid } = device.facts
    expect(await put(device, { Status: 'Idle', UDID: udid })).toMatchObject({ status: 503 })
    expect(await put(device, result(device))).toMatchObject({ status: 503 })
    expect(await checkIn(world, device, TOKEN_UPDATE)).toMatchObject({ status: 503 })
    expect(await checkIn(world, device, { MessageType: 'CheckOut' })).toMatchObject({ status: 503 })
  }
  expect((await device503()).status).toBe(503)
  expect((await fetch(link)).status).toBe(503)
  expect(await world.api('POST', '/commands', { request_type: 'DeviceLock', device_ids: ids })).toMatchObject(
    {
      status: 503,
      body: { code: 'database_unavailable' },
    },
  )
  expect(await ready()).toBe(503)
  expect((await fetch(`${world.url}/healthz`)).status).toBe(200)
  // A minute in which the jobs go on trying.
  for (let step = 0; step < 12; step++) {
    world.clock.advance(MINUTE / 12)
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(world.logReasons()).toContain('database_unavailable')

  await proxy.restore()
  await expect
    .poll(async () => {
      world.clock.advance(1_000)
      return ready()
    })
    .toBe(200)
  // It is told once that the database is gone and once that it is back, not by each request and job that needed it.
  const told = [...world.logText().split('\n'), ...ofDatabase]
    .flatMap((line) => (line === '' ? [] : (JSON.parse(line) as { level: string; event: string })))
    .filter(({ level, event }) => ['warn', 'error'].includes(level) || event === 'database.found')
    .map(({ event }) => event)
    .filter((event) => event !== 'database.connection_lost')
  expect(told).toEqual(['database.lost', 'database.found'])
  for (const device of devices) expect((await device.poll()).end).toBe('idle')
  const { deliveries } = (await world.api('GET', `/commands/${command.uuid}`)).body
  expect(deliveries.map(({ state }: { state: string }) => state)).toEqual(Array(3).fill('acknowledged'))
  const kept = await database.kysely
    .selectFrom('delivery_history')
    .select('enrollment_id')
    .where('command_uuid', '=', command.uuid)
    .execute()
  expect(kept.map(({ enrollment_id }) => enrollment_id).toSorted()).toEqual(ids.toSorted())
  expect((await second.updateToken()).kind).toBe('ok')
  expect((await world.device().enroll({ url: link })).enrolled).toBe(true)
  for (const device of devices) expect(device.violations()).toEqual([])

  async function device503() {
    return putMessage(
      `${world.url}/mdm/checkin`,
      {
        ...{ MessageType: 'Authenticate', UDID: 'new', Topic: TOPIC, SerialNumber: 'X' },
      },
      { signer: identityOf(first), type: 'application/x-apple-aspen-mdm-checkin' },
    )
  }
})

test('a result whose commit was cut off is answered with 503 and taken when it comes again, once', async () => {
  const device = await world.enrolled()
  await world.introduced(device)
  const { udid } = device.facts
  for (let count = 0; count < 5; count++) {
    const { body } = await world.api('POST', '/commands', { request_type: 'DeviceLock', device_ids: [udid] })
    await put(device, { Status: 'Idle', UDID: udid })
    const result = { Status: 'Acknowledged', UDID: udid, CommandUUID: body.uuid as string }
    const cutting = proxy.cut()
    const { status } = await put(device, result)
    await cutting
    expect([200, 503]).toContain(status)
    await proxy.restore()
    await expect.poll(async () => (await put(device, result)).status).toBe(200)
    const kept = await database.kysely
      .selectFrom('delivery_history')
      .select('state')
      .where('command_uuid', '=', body.uuid)
      .execute()
    expect(kept).toEqual([{ state: 'acknowledged' }])
  }
})

test('the server works on after all that, and pushes what was waiting', async () => {
  const device = await world.enrolled()
  await world.introduced(device)
  await proxy.cut()
  world.clock.advance(5_000)
  await proxy.restore()
  await expect.poll(ready).toBe(200)
  const token = device.channels()[0].push!.token.toString('hex')
  const pushes = world.apns.pushes.filter((push) => push.token === token).length
  await world.api('POST', '/commands', { request_type: 'DeviceLock', device_ids: [device.facts.udid] })
  await expect
    .poll(async () => {
      await world.pass(100)
      return world.apns.pushes.filter((push) => push.token === token).length
    })
    .toBeGreaterThan(pushes)
  expect((await device.poll()).results.Acknowledged).toBe(1)
})

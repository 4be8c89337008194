import { afterAll, beforeAll, expect, test } from 'vitest'
import { createEvents } from '../../src/features/events/index.ts'
import { createLog } from '../../src/kernel/log.ts'
import { createMetrics } from '../../src/kernel/metrics.ts'
import { startTestApp, putMessage, type TestApp } from '../support/app.ts'
import { openAgain, testDatabase, type TestDatabase } from '../support/database.ts'
import { checkIn, identityOf } from '../support/half-enrolled.ts'

let database: TestDatabase
let one: TestApp
let other: TestApp
beforeAll(async () => {
  database = await testDatabase('postgres')
  one = await startTestApp({ db: await openAgain(database) })
  other = await startTestApp({ db: await openAgain(database), apns: one.apns, clock: one.clock })
})
afterAll(async () => {
  await other.close()
  await one.close()
  await database.close()
})

const idleAt = (world: TestApp, udid: string, signer: ReturnType<typeof identityOf>) =>
  putMessage(`${world.url}/mdm/connect`, { Status: 'Idle', UDID: udid }, { signer })
const textOf = async (answer: Promise<{ body: Buffer }>) => (await answer).body.toString()

/** The link's way in at a server: links name the public address, where nobody listens here. */
const linkAt = (world: TestApp, url: string) => world.url + new URL(url).pathname

async function enrolled() {
  const device = one.device()
  const outcome = await device.enroll({ url: linkAt(one, await one.link()) })
  expect(outcome).toEqual({ enrolled: true })
  await one.introduced(device)
  return device
}

test('a command that one server queued is delivered by the other, and its result counts once', async () => {
  const device = await enrolled()
  const { udid } = device.facts
  const { body } = await other.api('POST', '/commands', { request_type: 'DeviceLock', device_ids: [udid] })
  expect(await textOf(idleAt(one, udid, identityOf(device)))).toContain(body.uuid)
  // The device loses the answer and comes to the other server: the command is given again.
  expect(await textOf(idleAt(other, udid, identityOf(device)))).toContain(body.uuid)
  const result = { Status: 'Acknowledged', UDID: udid, CommandUUID: body.uuid }
  const answers = await Promise.all(
    [one, other, one, other, one, other].map((world) =>
      putMessage(`${world.url}/mdm/connect`, result, { signer: identityOf(device) }),
    ),
  )
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200])
  const shown = (await one.api('GET', `/commands/${body.uuid}`)).body
  expect(shown.deliveries).toHaveLength(1)
  expect(shown.deliveries[0].state).toBe('acknowledged')
  const history = await database.kysely
    .selectFrom('delivery_history')
    .select('state')
    .where('command_uuid', '=', body.uuid)
    .execute()
  expect(history).toHaveLength(1)
  const told = [one, other].flatMap((world) =>
    world
      .logText()
      .split('\n')
      .filter((line) => line.includes('"event":"command.acknowledged"') && line.includes(body.uuid)),
  )
  expect(told).toHaveLength(1)
})

test('a certificate that was replaced at one server is refused by the other at the next request', async () => {
  const device = await enrolled()
  const { udid } = device.facts
  const before = identityOf(device)
  expect((await idleAt(other, udid, before)).status).toBe(200)
  expect((await device.enroll({ url: linkAt(one, await one.link()) })).enrolled).toBe(true)
  expect(await idleAt(other, udid, before)).toMatchObject({ status: 403, body: Buffer.alloc(0) })
  expect((await idleAt(other, udid, identityOf(device))).status).toBe(200)
  await device.checkOut()
  expect(await textOf(idleAt(other, udid, identityOf(device)))).toContain('com.apple.unrecognized.device')
})

test('the same message to both at once changes things once', async () => {
  const device = await enrolled()
  const { udid } = device.facts
  const before = (await one.api('GET', `/devices/${udid}`)).body.token_update_tally
  const answers = await Promise.all(
    [one, other, one, other].map((world) => checkIn(world, device, { MessageType: 'CheckOut' })),
  )
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
  const row = (await other.api('GET', `/devices/${udid}`)).body
  expect(row).toMatchObject({ state: 'unenrolled', token_update_tally: before })
  await expect
    .poll(async () => {
      await one.pass(500)
      const { items } = (await other.api('GET', `/devices/${udid}/timeline`)).body
      return items.filter((event: { type: string }) => event.type === 'device.checked_out').length
    })
    .toBe(1)
})

test('settings cross within two seconds, tokens that were deleted too', async () => {
  await other.api('GET', '/settings')
  await one.api('PATCH', '/settings', { default_device_limit: 33 })
  one.clock.advance(2_000)
  expect((await other.api('GET', '/settings')).body.default_device_limit).toBe(33)

  const { body: token } = await one.api('POST', '/api-tokens', { name: 'crossing', role: 'viewer' })
  const useAt = async (world: TestApp) =>
    (await fetch(`${world.url}/api/v1/devices`, { headers: { authorization: `Bearer ${token.secret}` } }))
      .status
  expect(await useAt(other)).toBe(200)
  expect((await one.api('DELETE', `/api-tokens/${token.id}`)).status).toBe(204)
  expect(await useAt(one)).toBe(401)
  one.clock.advance(2_000)
  expect(await useAt(other)).toBe(401)
})

test('a push certificate that one server stored is used by the other', async () => {
  const device = await enrolled()
  const pushes = one.apns.pushes.length
  expect((await other.api('POST', `/devices/${device.facts.udid}/push`)).status).toBe(202)
  await expect
    .poll(async () => {
      await one.pass(100)
      return one.apns.pushes.length
    })
    .toBeGreaterThan(pushes)
  expect(one.apns.violations).toEqual([])
})

test('a push that one server could not send is sent by another when that one is gone', async () => {
  const device = await enrolled()
  const token = device.channels()[0].push!.token.toString('hex')
  const answers = (status: number) =>
    one.apns.pushes.filter((push) => push.token === token && push.status === status).length
  const before = answers(200)
  const third = await startTestApp({ db: await openAgain(database), apns: one.apns, clock: one.clock })
  one.apns.answerAll({ status: 503, reason: 'ServiceUnavailable' })
  const body = { request_type: 'DeviceLock', device_ids: [device.facts.udid] }
  await third.api('POST', '/commands', body)
  await expect
    .poll(async () => {
      await one.pass(20)
      return answers(503)
    })
    .toBeGreaterThan(0)
  await third.close()
  one.apns.answerAll(null)
  // After a refusal the next try waits longer each time, minutes in the end.
  await expect
    .poll(async () => {
      await one.pass(2_000)
      return answers(200)
    })
    .toBeGreaterThan(before)
  expect((await device.poll()).results.Acknowledged).toBe(1)
})

test('a reader of events misses none, whoever writes and publishes them, and ids rise in the order of commits', async () => {
  const silent = createLog({ level: 'silent' })
  const writers = await Promise.all(
    [1, 2, 3].map(async () => {
      const db = await openAgain(database)
      return { db, events: createEvents({ db, clock: one.clock, log: silent, metrics: createMetrics() }) }
    }),
  )
  const committed: string[] = []
  const write = async ({ db, events }: (typeof writers)[number], name: string) => {
    for (let count = 0; count < 40; count++) {
      const key = `${name}-${count}`
      await db.transaction(async (trx) => {
        await events.emit(trx, { type: 'group.updated', data: { group_id: key, name: key } })
        // Transactions that take longer than others commit after those that began later.
        if (count % 7 === 0) await trx.selectFrom('enrollments').selectAll().execute()
        if (count % 5 === 0)
          await events.emit(trx, { type: 'group.updated', data: { group_id: `${key}-b`, name: key } })
      })
      committed.push(key, ...(count % 5 === 0 ? [`${key}-b`] : []))
    }
  }
  const seen: string[] = []
  let last = '0'
  let isOver = false
  const read = async (world: TestApp) => {
    const { items, next_cursor } = (
      await world.api('GET', `/events?type=group.updated&after=${last}&limit=7`)
    ).body
    for (const { id, data } of items) {
      expect(Number(id)).toBeGreaterThan(Number(last))
      last = id
      seen.push(data.group_id)
    }
    expect(next_cursor).toBe(last === '0' ? '0' : last)
    return items.length as number
  }
  const reading = (async () => {
    while (!isOver) await read(other)
    while ((await read(one)) > 0);
  })()
  const publishing = Promise.all(
    writers.map(async ({ events }) => {
      while (!isOver) await events.publish()
    }),
  )
  await Promise.all(
    writers.flatMap((writer, index) => [write(writer, `a${index}`), write(writer, `b${index}`)]),
  )
  isOver = true
  await publishing
  await writers[0]!.events.publish()
  await reading
  while ((await read(one)) > 0);
  expect(seen.toSorted()).toEqual(committed.toSorted())
  for (const { db } of writers) await db.close()
})

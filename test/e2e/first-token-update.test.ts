import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Db } from '../../src/db/index.ts'
import { SEALED_FOR } from '../../src/db/sealed-columns.ts'
import { createSecretBox } from '../../src/kernel/secret-box.ts'
import type { Device } from '../../src/simulator/index.ts'
import { startTestApp, TOPIC, type TestApp } from '../support/app.ts'
import { describeEachEngine, openAgain, testDatabase, type TestDatabase } from '../support/database.ts'
import { checkIn, halfEnrolled, TOKEN_UPDATE } from '../support/half-enrolled.ts'

const box = createSecretBox({ key: Buffer.alloc(32, 7) })
const MINUTE = 60_000
const OTHER_TOPIC = 'com.apple.mgmt.External.another'

/** What the first TokenUpdate of a device leaves behind. */
async function traces(db: Pick<Db, 'kysely'>, { udid, serialNumber }: Device['facts']) {
  const { kysely } = db
  const row = await kysely
    .selectFrom('enrollments')
    .selectAll()
    .where('id', '=', udid)
    .executeTakeFirstOrThrow()
  const attempt = await kysely
    .selectFrom('enrollment_attempts')
    .selectAll()
    .where('serial_number', '=', serialNumber)
    .executeTakeFirstOrThrow()
  const steps = await kysely
    .selectFrom('enrollment_attempt_steps')
    .select(['step', 'outcome', 'reason', 'detail'])
    .where('attempt_id', '=', attempt.id)
    .orderBy('id')
    .execute()
  const commands = await kysely
    .selectFrom('commands')
    .selectAll()
    .where(sql<boolean>`${udid} = any(target_ids)`)
    .execute()
  const pending = await kysely
    .selectFrom('pending_deliveries')
    .selectAll()
    .where('enrollment_id', '=', udid)
    .execute()
  return { row, attempt, steps, commands, pending }
}

/** The same once what follows from it was done. */
async function followed(world: TestApp, db: Pick<Db, 'kysely'>, facts: Device['facts']) {
  await expect
    .poll(async () => {
      await world.pass(100)
      return (await traces(db, facts)).pending
    })
    .toHaveLength(1)
  return traces(db, facts)
}

/** Waits for the facts of a device that readers see. */
const factsOf = (world: TestApp, { udid }: Device['facts']) =>
  expect.poll(async () => {
    await world.pass(500)
    const { items } = (await world.api('GET', `/devices/${udid}/timeline`)).body
    return items.map(({ type }: { type: string }) => type)
  })

const linesOf = (world: TestApp, event: string, id: string) =>
  world
    .logText()
    .split('\n')
    .filter((line) => line.includes(`"event":"${event}"`) && line.includes(`"enrollment_id":"${id}"`))

/** What is worked out in its own time after the device has enrolled. */
const FOLLOWING = new Set(['device.grouped', 'delivery.planned'])

describeEachEngine('the first TokenUpdate', (database) => {
  let world: TestApp
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
  })
  afterAll(() => world.close())

  test('makes the enrollment complete, asks the device for its facts and wakes it', async () => {
    const device = await halfEnrolled(world, 'authenticate')
    const { udid, serialNumber } = device.facts
    const pushes = world.apns.pushes.length
    expect((await checkIn(world, device, TOKEN_UPDATE)).status).toBe(200)
    const now = world.clock.now()
    const { row, attempt, steps } = await traces(database(), device.facts)
    expect(row).toMatchObject({
      ...{ token_update_tally: 1, push_magic: 'magic', push_state: 'ok', awaiting_configuration: false },
      ...{ enrolled_at: now, token_updated_at: now, last_seen_at: now, unenrolled_at: null },
    })
    expect(attempt).toMatchObject({ outcome: 'enrolled', reason: null, closed_at: now, enrollment_id: udid })
    expect(steps.map(({ step }) => step)).toEqual([...['certificate', 'authenticate', 'token_update']])
    expect(steps.at(-1)).toEqual({ step: 'token_update', outcome: 'passed', reason: null, detail: {} })
    const { commands, pending } = await followed(world, database(), device.facts)
    expect(commands).toMatchObject([
      { request_type: 'DeviceInformation', purpose: 'inventory', priority: 0, target_ids: [udid] },
    ])
    const { uuid, body, created_at: asked } = commands[0]!
    expect(box.open(body, SEALED_FOR.commandBody(uuid)).toString()).toContain(`<string>${uuid}</string>`)
    expect(pending).toMatchObject([
      {
        command_uuid: uuid,
        state: 'queued',
        priority: 0,
        created_at: asked,
        push_at: new Date(asked.getTime() + MINUTE),
      },
    ])
    const [queued] = linesOf(world, 'command.queued', udid)
    expect(JSON.parse(queued!)).toMatchObject({
      command_uuid: uuid,
      request_type: 'DeviceInformation',
      devices: 1,
    })
    const [enrolled] = linesOf(world, 'device.enrolled', udid)
    expect(JSON.parse(enrolled!)).toMatchObject({
      ...{ serial_number: serialNumber, attempt_id: attempt.id, request_id: expect.any(String) },
      ...{ tally: 1, type: 'device', awaiting_configuration: false },
    })
    await expect
      .poll(async () => {
        await world.pass(20)
        return world.apns.pushes.length
      })
      .toBeGreaterThan(pushes)
    await factsOf(world, device.facts).toContain('command.queued')
    const events = await database()
      .kysely.selectFrom('events')
      .select(['type', 'serial_number', 'attempt_id', 'data'])
      .where('enrollment_id', '=', udid)
      .orderBy('id')
      .execute()
    expect(events.filter(({ type }) => !FOLLOWING.has(type))).toEqual([
      expect.objectContaining({ type: 'device.authenticated', data: { again: false } }),
      {
        ...{ type: 'device.enrolled', serial_number: serialNumber, attempt_id: attempt.id },
        data: { tally: 1, type: 'device', awaiting_configuration: false },
      },
      {
        ...{ type: 'command.queued', serial_number: serialNumber, attempt_id: null },
        data: { command_uuid: uuid, request_type: 'DeviceInformation', devices: 1 },
      },
    ])
  })

  test('may spell the id in another case; so may later ones, and those of users', async () => {
    const device = await halfEnrolled(world, 'authenticate')
    const { udid } = device.facts
    const UDID = udid === udid.toUpperCase() ? udid.toLowerCase() : udid.toUpperCase()
    expect(
      (await checkIn(world, device, { ...TOKEN_UPDATE, UDID, UnlockToken: Buffer.from('u') })).status,
    ).toBe(200)
    const first = await followed(world, database(), device.facts)
    expect(first.row).toMatchObject({ id: udid, token_update_tally: 1, push_state: 'ok' })
    expect(first.attempt).toMatchObject({ outcome: 'enrolled', enrollment_id: udid })
    expect(box.open(first.row.unlock_token!, `enrollments.unlock_token:${udid}`).toString()).toBe('u')
    expect((await checkIn(world, device, { ...TOKEN_UPDATE, UDID, PushMagic: 'new' })).status).toBe(200)
    const user = { ...TOKEN_UPDATE, UDID, UserID: 'USER-1', UserShortName: 'ada' }
    for (let count = 0; count < 2; count++) expect((await checkIn(world, device, user)).status).toBe(200)
    const { row, pending, steps } = await traces(database(), device.facts)
    expect(row).toMatchObject({ token_update_tally: 2, push_magic: 'new' })
    expect([pending.length, steps.length]).toEqual([1, first.steps.length])
    const users = await database()
      .kysely.selectFrom('enrollments')
      .select(['id', 'type', 'token_update_tally', 'user_short_name', 'push_state'])
      .where('parent_id', '=', udid)
      .execute()
    expect(users).toEqual([
      { id: `${udid}:USER-1`, type: 'user', token_update_tally: 2, user_short_name: 'ada', push_state: 'ok' },
    ])
    const told = [udid, `${udid}:USER-1`].map((id) =>
      linesOf(world, 'device.token_updated', id).map((line) => {
        const { tally, type = null } = JSON.parse(line) as { tally: number; type?: string }
        return { tally, type }
      }),
    )
    expect(told).toEqual([
      [{ tally: 2, type: null }],
      [
        { tally: 1, type: 'user' },
        { tally: 2, type: null },
      ],
    ])
  })

  test('after its attempt has expired it is enrolled after all; a rejected attempt stays so', async () => {
    const late = await halfEnrolled(world, 'authenticate')
    await database()
      .kysely.updateTable('enrollment_attempts')
      .set({ deadline: world.clock.now() })
      .where('serial_number', '=', late.facts.serialNumber)
      .execute()
    await expect
      .poll(async () => {
        await world.pass(20_000)
        return (await traces(database(), late.facts)).attempt.outcome
      })
      .toBe('expired')
    expect((await checkIn(world, late, TOKEN_UPDATE)).status).toBe(200)
    const { attempt, steps } = await traces(database(), late.facts)
    expect(attempt).toMatchObject({ outcome: 'enrolled', reason: null })
    expect(steps.slice(-2)).toMatchObject([
      { step: 'token_update', outcome: 'refused', reason: 'abandoned' },
      { step: 'token_update', outcome: 'passed', reason: null },
    ])

    const rejected = await halfEnrolled(world, 'authenticate')
    expect((await checkIn(world, rejected, { ...TOKEN_UPDATE, Topic: OTHER_TOPIC })).status).toBe(400)
    expect((await checkIn(world, rejected, TOKEN_UPDATE)).status).toBe(200)
    const kept = await traces(database(), rejected.facts)
    expect(kept.attempt).toMatchObject({ outcome: 'rejected', reason: 'topic_mismatch' })
    expect(kept.row).toMatchObject({ token_update_tally: 1, push_state: 'ok' })
    expect(kept.steps.at(-1)).toMatchObject({ step: 'token_update', outcome: 'passed' })
  })

  test('a device that waits in Setup Assistant is owed its release, the first time only', async () => {
    const owed = (udid: string) =>
      database()
        .kysely.selectFrom('setup_releases')
        .select(['deadline', 'command_uuids', 'created_at'])
        .where('enrollment_id', '=', udid)
        .execute()
    const device = await halfEnrolled(world, 'authenticate')
    const waiting = { ...TOKEN_UPDATE, AwaitingConfiguration: true }
    expect((await checkIn(world, device, waiting)).status).toBe(200)
    const now = world.clock.now()
    const { row, pending } = await followed(world, database(), device.facts)
    await expect
      .poll(async () => {
        await world.pass(100)
        return owed(device.facts.udid)
      })
      .toHaveLength(1)
    expect(row.awaiting_configuration).toBe(true)
    await expect
      .poll(async () => {
        await world.pass(100)
        return (await owed(device.facts.udid))[0]?.command_uuids
      })
      .not.toBeNull()
    const first = (await owed(device.facts.udid))[0]?.command_uuids?.[0]
    expect(pending.map(({ command_uuid }) => command_uuid)).toContain(first)
    const release = {
      ...{ deadline: new Date(now.getTime() + 15 * MINUTE), created_at: now },
      command_uuids: [first],
    }
    expect(await owed(device.facts.udid)).toEqual([release])
    expect(JSON.parse(linesOf(world, 'device.enrolled', device.facts.udid)[0]!)).toMatchObject({
      awaiting_configuration: true,
    })
    expect((await checkIn(world, device, waiting)).status).toBe(200)
    expect(await owed(device.facts.udid)).toEqual([release])

    const other = await halfEnrolled(world, 'authenticate')
    expect((await checkIn(world, other, { ...TOKEN_UPDATE, AwaitingConfiguration: false })).status).toBe(200)
    expect(await owed(other.facts.udid)).toEqual([])
  })

  test('one that is refused does not hold up those that came with it', async () => {
    const devices: Device[] = []
    for (let count = 0; count < 6; count++) devices.push(await halfEnrolled(world, 'authenticate'))
    const answers = await Promise.all(
      devices.map((device, n) =>
        checkIn(world, device, { ...TOKEN_UPDATE, Topic: n === 3 ? OTHER_TOPIC : TOPIC }),
      ),
    )
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 400, 200, 200])
    const traceAll = () => Promise.all(devices.map(({ facts }) => traces(database(), facts)))
    await expect
      .poll(async () => {
        await world.pass(100)
        return (await traceAll()).map(({ pending }) => pending.length)
      })
      .toEqual([1, 1, 1, 0, 1, 1])
    const left = await traceAll()
    expect(left.map(({ attempt }) => attempt.outcome)).toEqual([
      ...['enrolled', 'enrolled', 'enrolled', 'rejected', 'enrolled', 'enrolled'],
    ])
    expect(left.map(({ row }) => row.token_update_tally)).toEqual([1, 1, 1, 0, 1, 1])
  })
})

describe('two servers on one database', () => {
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

  /** Links name the public address, where nobody listens here. */
  const link = async () => one.url + new URL(await one.link()).pathname
  const isWaiting = async () => {
    const { rows } = await sql`
      select 1 from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(database.kysely)
    return rows.length > 0
  }

  test('of two first ones at the same moment one makes the enrollment complete', async () => {
    for (let round = 0; round < 5; round++) {
      const device = await halfEnrolled(one, 'authenticate', await link())
      const { udid } = device.facts
      const answers = await Promise.all(
        [one, other, one, other].map((world) => checkIn(world, device, TOKEN_UPDATE)),
      )
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
      const { row, commands, pending, steps } = await followed(one, database, device.facts)
      expect(row.token_update_tally).toBe(4)
      expect([commands.length, pending.length]).toEqual([1, 1])
      expect(steps.filter(({ step }) => step === 'token_update')).toHaveLength(1)
      const told = (event: string) => [one, other].flatMap((world) => linesOf(world, event, udid))
      expect([told('device.enrolled').length, told('device.token_updated').length]).toEqual([1, 3])
    }
  })

  test('a device that enrols anew meanwhile is not completed with the tokens of before', async () => {
    const device = await halfEnrolled(one, 'authenticate', await link())
    const { udid } = device.facts
    let answer: ReturnType<typeof checkIn> | undefined
    await database.kysely.transaction().execute(async (trx) => {
      await trx
        .updateTable('enrollments')
        .set({ generation: 2, attempt_id: null })
        .where('id', '=', udid)
        .execute()
      await trx
        .updateTable('enrollment_certificates')
        .set({ state: 'replaced' })
        .where('enrollment_id', '=', udid)
        .execute()
      answer = checkIn(one, device, TOKEN_UPDATE)
      await expect.poll(isWaiting, { interval: 5 }).toBe(true)
    })
    expect((await answer)?.status).toBe(403)
    expect(one.logReasons()).toContain('certificate_replaced')
    expect((await traces(database, device.facts)).row).toMatchObject({
      ...{ token_update_tally: 0, push_token: null, push_state: 'waiting_for_token' },
    })
  })

  test('the same Authenticate at both at once is one enrollment and takes one use of the link', async () => {
    for (let round = 0; round < 5; round++) {
      const url = await link()
      const device = await halfEnrolled(one, 'certificate', url)
      const { udid, serialNumber } = device.facts
      const message = { MessageType: 'Authenticate', DeviceName: 'x', SerialNumber: serialNumber }
      const answers = await Promise.all(
        [one, other, one, other].map((world) => checkIn(world, device, message)),
      )
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
      const links = (await one.api('GET', '/enrollment-links?limit=1000')).body.items
      expect(links.find((each: { url: string }) => url.endsWith(new URL(each.url).pathname))).toMatchObject({
        used: 1,
      })
      expect((await checkIn(other, device, TOKEN_UPDATE)).status).toBe(200)
      expect((await traces(database, device.facts)).attempt).toMatchObject({
        ...{ outcome: 'enrolled', enrollment_id: udid },
      })
    }
  })
})

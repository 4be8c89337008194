import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Db } from '../../../src/db/index.ts'
import {
  createApnsCertificates,
  type ApnsCertificates,
  type PemPair,
} from '../../../src/simulator/push-service/certificates.ts'
import { startFakeApns, type FakeApns } from '../../../src/simulator/push-service/fake-apns.ts'
import { freePort } from '../../../src/simulator/free-port.ts'
import { describeEachEngine } from '../../support/database.ts'
import { addChannels, emptyPushTables, pushWorld, tokenOf, type PushWorld } from '../../support/push-world.ts'
import { ACT } from '../../support/act.ts'

const TOPIC = 'com.apple.mgmt.External.sending'
const MINUTE = 60_000

let certificates: ApnsCertificates
let pair: PemPair
let apns: FakeApns

beforeAll(async () => {
  certificates = await createApnsCertificates(new Date())
  pair = await certificates.pushCertificate(TOPIC)
})

const pemOf = ({ certificate, key }: PemPair) => certificate + key
const names = (count: number) =>
  Array.from({ length: count }, (_, index) => `device-${String(index).padStart(4, '0')}`)
const accepted = () => apns.pushes.filter(({ status }) => status === 200).map(({ token }) => token)

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(1)
}

describeEachEngine('sending pushes', (database) => {
  let world: PushWorld
  let others: PushWorld[]

  beforeEach(async () => {
    await emptyPushTables(database())
    apns = await startFakeApns({ certificates, port: await freePort() })
    world = pushWorld(database(), apns)
    others = []
    await world.push.certificates.store({ pem: pemOf(pair) }, ACT)
  })
  afterEach(async () => {
    apns.answerAll(null)
    apns.release()
    await Promise.all([world, ...others].map(({ push }) => push.close()))
    await apns.close()
  })

  const add = (...ids: string[]) => addChannels(database(), ids, TOPIC, world.clock.now())

  function anotherProcess(): PushWorld {
    const other = pushWorld(database(), apns, world.clock)
    others.push(other)
    return other
  }

  test('one push per enrollment however often it was asked for, on one connection, by the rules', async () => {
    await add('a', 'b')
    await world.request(['a', 'b', 'a'])
    await world.request(['a'])
    await world.push.run()
    expect(accepted().toSorted()).toEqual([tokenOf('a'), tokenOf('b')])
    expect(apns.pushes.find(({ token }) => token === tokenOf('a'))?.magic).toBe('magic of a')
    expect(apns.violations).toEqual([])
    expect(apns.connections().total).toBe(1)
    expect(await needs(database())).toMatchObject([
      { enrollment_id: 'a', pushed_at: world.clock.now(), claimed_until: null, attempts: 0 },
      { enrollment_id: 'b', pushed_at: world.clock.now(), claimed_until: null, attempts: 0 },
    ])
    expect(await channel(database(), 'a')).toMatchObject({ push_state: 'ok', last_push_result: 'accepted' })
    expect(await world.counted('accepted')).toBe(2)
    await world.push.run()
    expect(apns.pushes.length).toBe(2)
  })

  test('a committed request is sent without anyone asking, one that is rolled back never', async () => {
    await add('a', 'b')
    const failed = database().transaction(async (trx) => {
      await world.push.request(trx, ['b'])
      throw new Error('no')
    })
    await expect(failed).rejects.toThrow('no')
    await world.request(['a'])
    world.clock.advance(10)
    await until(() => accepted().length === 1)
    await world.push.run()
    expect(accepted()).toEqual([tokenOf('a')])
  })

  test('a need whose time has not come waits for it', async () => {
    await add('a')
    await world.request(['a'], new Date(world.clock.now().getTime() + 30_000))
    await world.push.run()
    expect(accepted()).toEqual([])
    world.clock.advance(30_000)
    await until(() => accepted().length === 1)
  })

  test('asked again after Apple took it, it is sent again, a second later at the earliest', async () => {
    await add('a')
    await world.request(['a'])
    await world.push.run()
    await world.request(['a'])
    await world.push.run()
    expect(accepted().length).toBe(1)
    world.clock.advance(1_000)
    await world.push.run()
    expect(accepted().length).toBe(2)
  })

  test('what is asked for while it is being sent is sent once more', async () => {
    await add('a')
    apns.answerAll('hold')
    await world.request(['a'])
    const run = world.push.run()
    await until(() => apns.held() === 1)
    await world.request(['a'])
    apns.answerAll(null)
    apns.release()
    await run
    expect(await needs(database())).toMatchObject([{ pushed_at: null, claimed_until: null }])
    world.clock.advance(1_000)
    await world.push.run()
    expect(accepted().length).toBe(2)
  })

  test('nothing is pushed before the first TokenUpdate, after the end, or when the token is gone', async () => {
    await add('waiting', 'left', 'gone')
    await change(database(), 'waiting', {
      push_state: 'waiting_for_token',
      push_token: null,
      push_magic: null,
    })
    await change(database(), 'left', { unenrolled_at: world.clock.now() })
    await change(database(), 'gone', { push_state: 'gone' })
    await world.request(['waiting', 'left', 'gone', 'nobody'])
    await world.push.run()
    expect(apns.pushes).toEqual([])
    expect(await needs(database())).toEqual([])
    expect(await world.counted('unreachable')).toBe(4)
  })

  test('a forgotten need is not sent', async () => {
    await add('a')
    await world.request(['a'])
    await database().transaction((trx) => world.push.forget(trx, ['a']))
    await world.push.run()
    expect(apns.pushes).toEqual([])
  })

  test.each([
    { status: 410, reason: 'Unregistered', timestamp: Date.now() + MINUTE },
    { status: 410, reason: 'ExpiredToken' },
    { status: 400, reason: 'BadDeviceToken' },
    { status: 400, reason: 'DeviceTokenNotForTopic' },
  ])('$status $reason stops pushing until the next TokenUpdate', async (answer) => {
    await add('a')
    apns.script(tokenOf('a'), answer)
    await world.request(['a'])
    await world.push.run()
    expect(await needs(database())).toEqual([])
    expect(await channel(database(), 'a')).toMatchObject({ push_state: 'gone', push_reason: answer.reason })
    expect(await told(database(), 'push.gone')).toMatchObject([
      { enrollment_id: 'a', serial_number: 'SN-a', reason: answer.reason },
    ])
    await world.request(['a'])
    await world.push.run()
    expect(apns.pushes.length).toBe(1)

    await change(database(), 'a', { push_state: 'ok', token_updated_at: world.clock.now() })
    await world.request(['a'])
    await world.push.run()
    expect(accepted()).toEqual([tokenOf('a')])
  })

  test('a 410 that is older than the TokenUpdate stops nothing', async () => {
    await add('a')
    const before = world.clock.now().getTime() - MINUTE
    apns.script(tokenOf('a'), { status: 410, reason: 'Unregistered', timestamp: before })
    await world.request(['a'])
    await world.push.run()
    expect(await channel(database(), 'a')).toMatchObject({ push_state: 'ok' })
    world.clock.advance(MINUTE)
    await world.push.run()
    expect(accepted()).toEqual([tokenOf('a')])
  })

  test('a TokenUpdate during the push that says 410 wins', async () => {
    await add('a')
    apns.script(tokenOf('a'), 'hold')
    await world.request(['a'])
    const run = world.push.run()
    await until(() => apns.held() === 1)
    world.clock.advance(5)
    await change(database(), 'a', { token_updated_at: world.clock.now() })
    await world.request(['a'])
    apns.release()
    await run
    world.clock.advance(1_000)
    await world.push.run()
    expect(await channel(database(), 'a')).toMatchObject({ push_state: 'ok' })
    expect(accepted().length).toBe(2)
  })

  test('429 and 5xx are tried again, later each time', async () => {
    await add('a', 'b')
    apns.script(
      tokenOf('a'),
      { status: 429, reason: 'TooManyRequests' },
      { status: 429, reason: 'TooManyRequests' },
    )
    apns.script(tokenOf('b'), { status: 503, reason: 'ServiceUnavailable' })
    await world.request(['a', 'b'])
    await world.push.run()
    const start = world.clock.now().getTime()
    const waits = async () => (await needs(database())).map(({ due_at }) => due_at.getTime() - start)
    expect(await waits()).toEqual([5 * MINUTE, MINUTE])
    world.clock.advance(MINUTE)
    await world.push.run()
    expect(accepted()).toEqual([tokenOf('b')])
    world.clock.advance(4 * MINUTE)
    await world.push.run()
    expect(await needs(database())).toMatchObject([{ attempts: 2 }, {}])
    expect((await waits())[0]).toBe(15 * MINUTE)
    world.clock.advance(10 * MINUTE)
    await world.push.run()
    expect(accepted()).toEqual([tokenOf('b'), tokenOf('a')])
    expect(await channel(database(), 'a')).toMatchObject({ push_state: 'ok', last_push_result: 'accepted' })
  })

  test('a request that Apple finds wrong is dropped and told', async () => {
    await add('a')
    apns.script(tokenOf('a'), { status: 400, reason: 'BadExpirationDate' })
    await world.request(['a'])
    await world.push.run()
    expect(await needs(database())).toEqual([])
    expect(await told(database(), 'push.refused')).toMatchObject([
      { enrollment_id: 'a', reason: 'BadExpirationDate' },
    ])
  })

  test('a GOAWAY among many loses none, and none is sent by two processes', async () => {
    const ids = names(150)
    await add(...ids)
    await world.request(ids)
    apns.goAwayAfter(60)
    const other = anotherProcess()
    await Promise.all([world.push.run(), other.push.run(), other.push.run()])
    expect(accepted().toSorted()).toEqual(ids.map(tokenOf))
    expect(apns.connections().total).toBeGreaterThanOrEqual(2)
    expect((await needs(database())).filter(({ pushed_at }) => pushed_at === null)).toEqual([])
  })

  test('two processes share what is due and send nothing twice', async () => {
    const ids = names(200)
    await add(...ids)
    await world.request(ids)
    const other = anotherProcess()
    await Promise.all([world.push.run(), other.push.run()])
    expect(accepted().toSorted()).toEqual(ids.map(tokenOf))
  })

  test('what a process that died was sending is sent by another when its claim has run out', async () => {
    await add('a')
    apns.answerAll('hold')
    await world.request(['a'])
    const dying = world.push.run()
    await until(() => apns.held() === 1)
    apns.answerAll(null)
    const other = anotherProcess()
    await other.push.run()
    expect(accepted()).toEqual([])
    world.clock.advance(9_000)
    await database().kysely.updateTable('push_needs').set({ claimed_until: world.clock.now() }).execute()
    await other.push.run()
    expect(accepted()).toEqual([tokenOf('a')])
    apns.release()
    await dying
    expect(await needs(database())).toMatchObject([{ pushed_at: world.clock.now(), claimed_until: null }])
  })

  test('a request for many is spread over time, the first of them at once', async () => {
    const ids = names(1_000)
    const before = world.clock.now().getTime()
    const spread = pushWorld(database(), apns, world.clock, 100)
    others.push(spread)
    await spread.request(ids)
    const dues = (await needs(database())).map(({ due_at }) => due_at.getTime() - before)
    expect(new Set(dues)).toEqual(new Set([5_000]))
  })

  test('so is one for some of many', async () => {
    const before = world.clock.now().getTime()
    const spread = pushWorld(database(), apns, world.clock, 100)
    others.push(spread)
    await database().transaction((trx) => spread.push.request(trx, names(3), { among: 100_000 }))
    const dues = (await needs(database())).map(({ due_at }) => due_at.getTime() - before)
    expect(new Set(dues)).toEqual(new Set([500_000]))
  })

  test('Apple being away delays pushes and loses none', async () => {
    await add('a')
    await apns.close()
    await world.request(['a'])
    await world.push.run()
    expect(await needs(database())).toMatchObject([{ pushed_at: null, attempts: 1, claimed_until: null }])
    expect(await channel(database(), 'a')).toMatchObject({
      push_state: 'ok',
      last_push_result: 'ECONNREFUSED',
    })
    apns = await startFakeApns({ certificates, port: Number(new URL(apns.url).port) })
    world.clock.advance(2_000)
    await world.push.run()
    expect(accepted()).toEqual([tokenOf('a')])
  })

  test('neither token nor magic is ever logged', async () => {
    await add('a', 'b', 'c')
    apns.script(tokenOf('b'), { status: 410, reason: 'Unregistered' })
    apns.script(tokenOf('c'), { status: 400, reason: 'BadPriority' })
    await world.request(['a', 'b', 'c'])
    await world.push.run()
    const text = world.logText()
    expect(text).toContain('push.gone')
    expect(text).not.toMatch(/magic of/)
    expect(text).not.toContain(`"${tokenOf('b')}"`)
    expect(text).not.toContain('PRIVATE KEY')
  })

  test('a push that someone waits for answers with its id, and says what is wrong', async () => {
    await add('a', 'b', 'left')
    await change(database(), 'left', { unenrolled_at: world.clock.now() })
    apns.script(tokenOf('b'), { status: 400, reason: 'BadDeviceToken' })
    const answers = await world.push.pushNow(['a', 'b', 'left', 'nobody', 'a'])
    expect(Object.fromEntries(answers)).toEqual({
      a: { result: expect.stringMatching(/^[0-9A-F-]{36}$/) },
      b: { error: 'BadDeviceToken' },
      left: { error: 'push data missing for id' },
      nobody: { error: 'push data missing for id' },
    })
  })

  test('who waits is not kept longer than ten seconds, and the push goes on', async () => {
    await add('a')
    await world.push.pushNow(['a'])
    apns.answerAll('hold')
    const answer = world.push.pushNow(['a'])
    await until(() => apns.held() === 1)
    world.clock.advance(10_000)
    expect((await answer).get('a')?.error).toMatch(/goes on by itself|is tried again/)
    apns.answerAll(null)
    await world.push.run()
    world.clock.advance(3_000)
    await world.push.run()
    expect(accepted().length).toBe(2)
  })

  test('asked for and waited for at the same moment it is sent once', async () => {
    await add('a')
    await world.request(['a'])
    apns.script(tokenOf('a'), 'hold')
    const answers = world.push.pushNow(['a'])
    await until(() => apns.held() === 1)
    const job = world.push.run()
    apns.release()
    expect((await answers).get('a')?.result).toBeDefined()
    await job
    expect(accepted().length).toBe(1)
  })

  afterAll(() => expect(apns.violations).toEqual([]))
})

const needs = (db: Db) => db.kysely.selectFrom('push_needs').selectAll().orderBy('enrollment_id').execute()

const channel = (db: Db, id: string) =>
  db.kysely.selectFrom('enrollments').selectAll().where('id', '=', id).executeTakeFirstOrThrow()

const told = (db: Db, type: string) =>
  db.kysely.selectFrom('event_outbox').selectAll().where('type', '=', type).execute()

async function change(db: Db, id: string, set: Record<string, unknown>): Promise<void> {
  await db.kysely.updateTable('enrollments').set(set).where('id', '=', id).execute()
}

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AppError } from '../../../src/kernel/errors.ts'
import {
  createApnsCertificates,
  type ApnsCertificates,
  type PemPair,
} from '../../../src/simulator/push-service/certificates.ts'
import { startFakeApns, type FakeApns } from '../../../src/simulator/push-service/fake-apns.ts'
import { describeEachEngine } from '../../support/database.ts'
import { addChannels, emptyPushTables, pushWorld, tokenOf, type PushWorld } from '../../support/push-world.ts'
import { ACT } from '../../support/act.ts'

const TOPIC = 'com.apple.mgmt.External.certificates'
const OTHER = 'com.apple.mgmt.External.other'
const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

let certificates: ApnsCertificates
let first: PemPair
let renewed: PemPair
let other: PemPair

beforeAll(async () => {
  certificates = await createApnsCertificates(new Date())
  first = await certificates.pushCertificate(TOPIC)
  renewed = await certificates.pushCertificate(TOPIC, { days: 400 })
  other = await certificates.pushCertificate(OTHER)
})

const pemOf = ({ certificate, key }: PemPair) => certificate + key
const example = (name: string) => readFileSync(new URL(`../../../certs.example/${name}`, import.meta.url))

describeEachEngine('push certificates', (database) => {
  let apns: FakeApns
  let world: PushWorld
  let others: PushWorld[]

  beforeEach(async () => {
    await emptyPushTables(database())
    apns = await startFakeApns({ certificates })
    world = pushWorld(database(), apns)
    others = []
  })
  afterEach(async () => {
    apns.release()
    await Promise.all([world, ...others].map(({ push }) => push.close()))
    await apns.close()
  })

  const store = (pair: PemPair, options = {}) =>
    world.push.certificates.store({ pem: pemOf(pair) }, ACT, options)
  const add = (ids: string[], topic = TOPIC) => addChannels(database(), ids, topic, world.clock.now())
  const rows = () => database().kysely.selectFrom('push_certificates').selectAll().orderBy('topic').execute()
  const needs = () =>
    database().kysely.selectFrom('push_needs').selectAll().orderBy('enrollment_id').execute()
  const told = (type: string) =>
    database().kysely.selectFrom('event_outbox').selectAll().where('type', '=', type).orderBy('seq').execute()

  test('the first one is stored, its key sealed, and is the one in use', async () => {
    expect(await world.push.certificates.current()).toBeNull()
    expect(await store(first, { appleId: 'it@example.com' })).toMatchObject({
      topic: TOPIC,
      apple_id: 'it@example.com',
      in_use: true,
      warnings: [],
    })
    const [row] = await rows()
    expect(row?.private_key.includes('PRIVATE KEY')).toBe(false)
    expect(await world.push.certificates.current()).toMatchObject({ topic: TOPIC })
    expect(await told('push_certificate.stored')).toMatchObject([{ data: { topic: TOPIC, renewal: false } }])
  })

  test('a renewal keeps the Apple ID that is known, and another one is a warning', async () => {
    await store(first, { appleId: 'it@example.com' })
    expect(await store(renewed)).toMatchObject({ apple_id: 'it@example.com', version: 2, warnings: [] })
    const { warnings } = await store(renewed, { appleId: 'someone@example.com' })
    expect(warnings).toEqual([expect.stringContaining('The Apple ID was it@example.com')])
    expect((await store(first)).warnings).toEqual([expect.stringContaining('expires earlier')])
  })

  test('another topic is refused and nothing changes, unless forced; the old one is kept', async () => {
    await store(first)
    const before = await rows()
    await expect(store(other)).rejects.toMatchObject({
      code: 'push_certificate_topic_changed',
      message: expect.stringContaining(TOPIC),
    })
    expect(await rows()).toEqual(before)
    await store(other, { force: true })
    expect(await rows()).toMatchObject([
      { topic: TOPIC, in_use: false },
      { topic: OTHER, in_use: true },
    ])
    await expect(store(first)).rejects.toMatchObject({ code: 'push_certificate_topic_changed' })
  })

  test('devices under an old topic are still reached with their certificate', async () => {
    await store(first)
    await store(other, { force: true })
    await add(['old'])
    await add(['new'], OTHER)
    await world.request(['old', 'new'])
    await world.push.run()
    expect(apns.pushes.map(({ token, topic }) => `${token} ${topic}`).toSorted()).toEqual(
      [`${tokenOf('old')} ${TOPIC}`, `${tokenOf('new')} ${OTHER}`].toSorted(),
    )
    expect(apns.violations).toEqual([])
    expect(apns.connections().total).toBe(2)
  })

  test('of two first certificates at the same moment one wins', async () => {
    const results = await Promise.allSettled([store(first), store(other)])
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(
      (results.find(({ status }) => status === 'rejected') as PromiseRejectedResult).reason,
    ).toMatchObject({
      code: 'push_certificate_topic_changed',
    })
    expect(await rows()).toMatchObject([{ in_use: true }])
  })

  test('a renewal is used by all processes from their next push on', async () => {
    const process = pushWorld(database(), apns, world.clock)
    others.push(process)
    await store(first)
    await add(['a', 'b', 'c'])
    await world.push.pushNow(['a'])
    await process.push.pushNow(['b'])
    expect(apns.connections().total).toBe(2)
    await store(renewed)
    await process.push.pushNow(['a', 'b'])
    await world.push.pushNow(['c'])
    expect(apns.connections().total).toBe(4)
    expect(apns.pushes.length).toBe(5)
  })

  test('while a push is under way its connection outlives the renewal', async () => {
    await store(first)
    await add(['a', 'b'])
    apns.script(tokenOf('a'), 'hold')
    const waiting = world.push.pushNow(['a'])
    while (apns.held() === 0) await new Promise(setImmediate)
    await store(renewed)
    expect((await world.push.pushNow(['b'])).get('b')?.result).toBeDefined()
    expect(apns.connections()).toEqual({ total: 2, open: 2 })
    apns.release()
    expect((await waiting).get('a')?.result).toBeDefined()
  })

  test('without a certificate pushes wait for it', async () => {
    await add(['a'])
    await world.request(['a'])
    await world.push.run()
    expect(await needs()).toMatchObject([{ held_topic: TOPIC, claimed_until: null, pushed_at: null }])
    expect((await world.push.pushNow(['a'])).get('a')?.error).toBe(
      'the push certificate cannot be used: missing',
    )
    await store(first)
    await world.push.run()
    expect(apns.pushes.length).toBe(1)
  })

  test('one that Apple refuses stops its topic, told once, until it is replaced', async () => {
    await store(first)
    const ids = Array.from({ length: 40 }, (_, index) => `d${index}`)
    await add(ids)
    apns.answerAll({ status: 403, reason: 'BadCertificate' })
    await world.request(ids)
    await world.push.run()
    await world.push.run()
    expect(await rows()).toMatchObject([{ rejected_reason: 'BadCertificate' }])
    expect((await told('push_certificate.rejected')).length).toBe(1)
    expect((await needs()).every(({ held_topic }) => held_topic === TOPIC)).toBe(true)
    const asked = apns.pushes.length
    await world.request(['d0'])
    await world.push.run()
    expect(apns.pushes.length).toBe(asked)

    apns.answerAll(null)
    await store(renewed)
    world.clock.advance(1_000)
    await world.push.run()
    expect(new Set(apns.pushes.filter(({ status }) => status === 200).map(({ token }) => token)).size).toBe(
      40,
    )
    expect(await rows()).toMatchObject([{ rejected_reason: null }])
  })

  test('one that Apple takes again goes on by itself within a quarter of an hour', async () => {
    await store(first)
    await add(['a', 'b', 'c'])
    apns.answerAll({ status: 403, reason: 'BadCertificateEnvironment' })
    await world.request(['a', 'b', 'c'])
    await world.push.run()
    const asked = apns.pushes.length
    world.clock.advance(14 * MINUTE)
    await world.push.run()
    expect(apns.pushes.length).toBe(asked)
    world.clock.advance(2 * MINUTE)
    await world.push.run()
    expect(apns.pushes.length).toBe(asked + 1)
    expect((await needs()).every(({ held_topic }) => held_topic === TOPIC)).toBe(true)

    apns.answerAll(null)
    world.clock.advance(16 * MINUTE)
    await world.push.run()
    world.clock.advance(1_000)
    await world.push.run()
    expect(await rows()).toMatchObject([{ rejected_reason: null }])
    expect((await needs()).every(({ pushed_at }) => pushed_at !== null)).toBe(true)
    expect((await told('push_certificate.rejected')).length).toBe(1)
  })

  test('an expired one is not used', async () => {
    await store(first)
    await add(['a'])
    world.clock.advance(366 * DAY)
    expect(await world.push.certificates.current()).toBeNull()
    await world.request(['a'])
    await world.push.run()
    expect(apns.pushes).toEqual([])
    expect(await needs()).toMatchObject([{ held_topic: TOPIC }])
  })

  test('its end is announced once per threshold, whatever the number of processes', async () => {
    const second = pushWorld(database(), apns, world.clock)
    others.push(second)
    await store(first)
    const reasons = async () => (await told('push_certificate.expiring')).map(({ reason }) => reason)
    const sweep = () => Promise.all([world, second].map(({ push }) => push.sweepExpiry()))
    await sweep()
    expect(await reasons()).toEqual([])
    for (const days of [334, 1, 1, 1, 14, 7, 5, 0, 1]) {
      world.clock.advance(days * DAY)
      await sweep()
    }
    expect(await reasons()).toEqual(['30_days', '14_days', '7_days', '1_days'])
    world.clock.advance(DAY)
    await sweep()
    await sweep()
    expect(await reasons()).toEqual(['30_days', '14_days', '7_days', '1_days', 'expired'])
  })

  test('what Apple took a week ago is forgotten', async () => {
    await store(first)
    await add(['a'])
    await world.push.pushNow(['a'])
    world.clock.advance(6 * DAY)
    await world.push.sweepExpiry()
    expect((await needs()).length).toBe(1)
    world.clock.advance(2 * DAY)
    await world.push.sweepExpiry()
    expect(await needs()).toEqual([])
  })
})

describe('what is not a usable push certificate', () => {
  const certificate = () => first.certificate
  const encrypted = () =>
    execFileSync('openssl', ['pkcs8', '-topk8', '-passout', 'pass:x', '-outform', 'PEM'], {
      input: first.key,
    }).toString()

  test.each<[string, () => string | Buffer, AppError['code'], string]>([
    ['garbage', () => 'no certificate', 'push_certificate_invalid', 'There is no certificate'],
    ['nothing', () => '', 'push_certificate_invalid', 'There is no certificate'],
    [
      'random bytes',
      () => Buffer.from([0, 255, 1, 254]),
      'push_certificate_invalid',
      'There is no certificate',
    ],
    ['half a block', () => pemOf(first).slice(0, 200), 'push_certificate_invalid', 'has no end'],
    ['no key', certificate, 'push_certificate_key_missing', 'There is no private key'],
    ['only a key', () => first.key, 'push_certificate_invalid', 'There is no certificate'],
    [
      'the key of another',
      () => certificate() + other.key,
      'push_certificate_key_missing',
      'belongs to another',
    ],
    ['an encrypted key', () => certificate() + encrypted(), 'push_certificate_invalid', 'encrypted'],
    ['two keys', () => pemOf(first) + other.key, 'push_certificate_invalid', 'more than one private key'],
    ['a server certificate', () => pemOf(certificates.server), 'push_certificate_not_mdm', 'com.apple.mgmt'],
    [
      'an expired one',
      () => Buffer.concat([example('push-expired.pem'), example('push-expired.key.pem')]),
      'push_certificate_expired',
      'expired on',
    ],
  ])('%s', async (_name, upload, code, message) => {
    const { readPushCertificate } = await import('../../../src/features/push/read-certificate.ts')
    let refusal: unknown
    try {
      readPushCertificate({ pem: upload() }, new Date())
    } catch (error) {
      refusal = error
    }
    expect(refusal).toMatchObject({ code, message: expect.stringContaining(message) })
    expect((refusal as Error).message).not.toContain('PRIVATE KEY--')
  })
})

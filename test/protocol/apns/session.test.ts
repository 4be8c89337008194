import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createApnsSession, type ApnsSession } from '../../../src/protocol/apns/index.ts'
import {
  createApnsCertificates,
  type ApnsCertificates,
  type PemPair,
} from '../../../src/simulator/push-service/certificates.ts'
import {
  startFakeApns,
  type FakeApns,
  type FakeApnsOptions,
} from '../../../src/simulator/push-service/fake-apns.ts'
import { freePort } from '../../../src/simulator/free-port.ts'
import { manualClock } from '../../support/manual-clock.ts'

const TOPIC = 'com.apple.mgmt.External.session-test'

let certificates: ApnsCertificates
let identity: PemPair
const ends: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  certificates = await createApnsCertificates(new Date())
  identity = await certificates.pushCertificate(TOPIC)
})
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

async function start(options: FakeApnsOptions = {}) {
  const clock = manualClock()
  const apns = await startFakeApns({ certificates, clock, ...options })
  const session = sessionTo(apns.url, clock)
  ends.push(apns.close, session.close)
  return { clock, apns, session }
}

function sessionTo(origin: string, clock = manualClock(), pair = identity): ApnsSession {
  const { certificate, key } = pair
  return createApnsSession({ origin, ca: certificates.ca, certificate, privateKey: key, clock })
}

const pushTo = (token: string, topic = TOPIC) => ({
  token: Buffer.from(token, 'hex'),
  pushMagic: `magic of ${token}`,
  topic,
  expiresAt: new Date(Date.now() + 3_600_000),
})

const tokens = (count: number) =>
  Array.from({ length: count }, (_, index) => index.toString(16).padStart(64, '0'))

const tokensOf = (apns: FakeApns) =>
  new Set(apns.pushes.filter(({ status }) => status === 200).map(({ token }) => token))

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn()
}

test('many pushes share one connection and break no rule', async () => {
  const { apns, session } = await start()
  const outcomes = await Promise.all(tokens(300).map((token) => session.push(pushTo(token))))
  expect(outcomes.every(({ action }) => action === 'accepted')).toBe(true)
  expect(tokensOf(apns).size).toBe(300)
  expect(apns.connections().total).toBe(1)
  expect(apns.violations).toEqual([])
})

test('pushes one after the other use the same connection too', async () => {
  const { apns, session } = await start()
  for (const token of tokens(5)) {
    expect(await session.push(pushTo(token))).toMatchObject({ action: 'accepted' })
    await pause(5)
  }
  expect(apns.connections()).toEqual({ total: 1, open: 1 })
})

test('no more streams are open than the SETTINGS allow', async () => {
  const { apns, session } = await start({ maxConcurrentStreams: 5 })
  apns.answerAll('hold')
  const pushes = tokens(12).map((token) => session.push(pushTo(token)))
  await until(() => apns.held() === 5)
  await nextTurn()
  expect(apns.held()).toBe(5)
  apns.answerAll(null)
  apns.release()
  expect((await Promise.all(pushes)).every(({ action }) => action === 'accepted')).toBe(true)
  expect(apns.connections().total).toBe(1)
})

test('a GOAWAY in the middle loses nothing', async () => {
  const { apns, session } = await start({ maxConcurrentStreams: 20 })
  apns.goAwayAfter(50)
  const outcomes = await Promise.all(tokens(200).map((token) => session.push(pushTo(token))))
  expect(outcomes.filter(({ action }) => action !== 'accepted')).toEqual([])
  expect(tokensOf(apns).size).toBe(200)
  expect(apns.connections().total).toBe(2)
})

test('what was not answered on a connection that broke is sent again', async () => {
  const { apns, session } = await start({ maxConcurrentStreams: 20 })
  const [first = '', ...others] = tokens(60)
  await session.push(pushTo(first))
  apns.script('*', 'hold', 'hold', 'reset')
  const outcomes = await Promise.all(others.map((token) => session.push(pushTo(token))))
  expect(outcomes.filter(({ action }) => action !== 'accepted')).toEqual([])
  expect(tokensOf(apns).size).toBe(60)
})

test('Shutdown closes the connection and the next push opens another', async () => {
  const { apns, session } = await start()
  apns.answerAll({ status: 503, reason: 'Shutdown' })
  expect(await session.push(pushTo('aa'))).toEqual({ action: 'retry', reason: 'Shutdown', afterMs: 1_000 })
  apns.answerAll(null)
  expect(await session.push(pushTo('aa'))).toMatchObject({ action: 'accepted' })
  expect(apns.connections().total).toBe(2)
})

test('a push that is not answered ends after ten seconds, and the dead connection with it', async () => {
  const { apns, session, clock } = await start()
  apns.answerAll('hold')
  const push = session.push(pushTo('aa'))
  await until(() => apns.held() === 1)
  clock.advance(9_999)
  clock.advance(1)
  expect(await push).toMatchObject({ action: 'retry', reason: 'Timeout' })
  await until(() => apns.connections().open === 0)
})

describe('without a connection', () => {
  test('pushes come back at once, and the pause grows', async () => {
    const { apns, clock } = await start({ port: await freePort() })
    await apns.close()
    const session = sessionTo(apns.url, clock)
    expect(await session.push(pushTo('aa'))).toEqual({
      action: 'retry',
      reason: 'ECONNREFUSED',
      afterMs: 1_000,
    })
    expect(await session.push(pushTo('aa'))).toEqual({
      action: 'retry',
      reason: 'ConnectBackoff',
      afterMs: 1_000,
    })
    clock.advance(1_000)
    expect(await session.push(pushTo('aa'))).toEqual({
      action: 'retry',
      reason: 'ECONNREFUSED',
      afterMs: 2_000,
    })
  })

  test('a server that we have no reason to trust is not the fault of the push certificate', async () => {
    const { apns, clock } = await start()
    const { certificate, key } = identity
    const session = createApnsSession({ origin: apns.url, certificate, privateKey: key, clock })
    expect(await session.push(pushTo('aa'))).toMatchObject({
      action: 'retry',
      reason: 'SELF_SIGNED_CERT_IN_CHAIN',
    })
    expect(apns.pushes).toEqual([])
  })

  test('a connection that ends before it begins is tried again', async () => {
    const { apns, clock } = await start({ refuseForeignCertificates: true })
    const other = await createApnsCertificates(new Date())
    const session = sessionTo(apns.url, clock, await other.pushCertificate(TOPIC))
    const outcome = await session.push(pushTo('aa'))
    expect(outcome).toEqual({ action: 'retry', reason: 'ClosedBeforeSettings', afterMs: 1_000 })
    expect(apns.pushes).toEqual([])
  })
})

test('closing waits for what is under way and takes nothing more', async () => {
  const { apns, session } = await start()
  apns.answerAll('hold')
  const push = session.push(pushTo('aa'))
  await until(() => apns.held() === 1)
  const closed = session.close()
  expect(await session.push(pushTo('bb'))).toEqual({ action: 'retry', reason: 'SessionClosed', afterMs: 0 })
  apns.release()
  expect(await push).toMatchObject({ action: 'accepted' })
  await closed
  await until(() => apns.connections().open === 0)
})

test('a topic that is not the one of the certificate is told as such', async () => {
  const { apns, session } = await start()
  const outcome = await session.push(pushTo('aa', 'com.apple.mgmt.External.other'))
  expect(outcome).toEqual({ action: 'config_error', reason: 'BadTopic' })
  expect(apns.violations).toEqual(['BadTopic: apns-topic is not the UID of the certificate'])
})

test('a silent connection is pinged, and closed when nobody has needed it for half a day', async () => {
  const { apns, session, clock } = await start()
  await session.push(pushTo('aa'))
  for (let pings = 0; pings < 23; pings += 1) clock.advance(30 * 60_000)
  await nextTurn()
  expect(apns.connections().open).toBe(1)
  clock.advance(30 * 60_000)
  await until(() => apns.connections().open === 0)
})

afterAll(() => expect(ends).toEqual([]))

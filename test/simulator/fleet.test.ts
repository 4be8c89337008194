import { afterAll, expect, test } from 'vitest'
import { createDeviceHttp, createFleet, createKeyPool } from '../../src/simulator/index.ts'
import type { Fleet, FleetOptions } from '../../src/simulator/index.ts'
import { createLimiter } from '../../src/simulator/fleet/limiter.ts'
import { createMood } from '../../src/simulator/device/commands/mood.ts'
import { createRandom } from '../../src/simulator/random.ts'
import { testKey } from '../support/keys.ts'
import { mobileconfig } from './configuration-world.ts'
import { command, useStage } from './enrolled.ts'
import { TOPIC } from './scripted-server.ts'

const stage = useStage()
const http = createDeviceHttp({ maxSockets: 4 })
afterAll(() => http.close())

/** Times of a fleet that hardly waits. */
const QUICK = { retryMs: 1, selfPollMs: 1, restartMs: 1, sleepMs: 1 }

function fleetOf(size: number, options: Partial<FleetOptions> = {}): Fleet & { push(index: number): void } {
  const listeners: ((token: string, magic: string) => void)[] = []
  const fleet = createFleet({
    ...{ size, http, ...QUICK, keys: createKeyPool(2, [testKey('device'), testKey('other')]) },
    source: () => ({ url: `${stage.server.url}/profile` }),
    apns: { onPush: (listener) => void listeners.push(listener), pushes: [{ topic: TOPIC }] },
    ...options,
  })
  const push = (index: number) => {
    const { token, magic } = fleet.devices[index]!.channels()[0].push!
    for (const listener of listeners) listener(token.toString('hex'), magic)
  }
  return { ...fleet, push }
}

test('enrols all its devices, each one another, and answers pushes', async () => {
  const fleet = fleetOf(6)
  await fleet.enroll()
  expect(fleet.counter.stats).toMatchObject({ enrolled: 6, refused: {}, faults: [] })
  expect(new Set(fleet.devices.map(({ facts }) => facts.udid)).size).toBe(6)
  stage.server.queue.push(command('A', 'SecurityInfo'))
  fleet.push(3)
  await fleet.quiet(1)
  expect(fleet.devices[3]?.results()).toMatchObject([{ commandUuid: 'A', acknowledged: true }])
  expect(fleet.counter.stats).toMatchObject({ pushes: 1, sessions: 1, results: { Acknowledged: 1 } })
  expect(fleet.counter.stats.pushToAnswer).toHaveLength(1)
  expect(fleet.counter.violations).toEqual([])
})

test('its devices hold the same profile a single time', async () => {
  const fleet = fleetOf(3)
  await fleet.enroll()
  const Payload = mobileconfig('ch.example.wifi')
  const device = (index: number) => fleet.devices[index]!
  for (const index of [0, 1, 2]) {
    stage.server.queue.push(command(`P${index}`, 'InstallProfile', { Payload }))
    fleet.push(index)
    await fleet.quiet(1)
  }
  const kept = [0, 1, 2].map((index) => device(index).channels()[0].profiles.get('ch.example.wifi')?.stored)
  expect(kept[0]).toBeDefined()
  expect(new Set(kept).size).toBe(1)
  device(1).person.removeProfile('ch.example.wifi')
  expect([0, 1, 2].map((index) => device(index).view().profiles.length)).toEqual([2, 1, 2])
})

test('the same seed gives the same devices', () => {
  const facts = (seed: string) => fleetOf(3, { seed }).devices.map((device) => device.facts)
  expect(facts('a')).toEqual(facts('a'))
  expect(facts('a')).not.toEqual(facts('b'))
})

test('a server that is away is tried again until all is said', async () => {
  stage.server.script.set('Authenticate', [{ status: 503 }])
  stage.server.script.set('Idle', [{ status: 503 }, { cut: true }, { cut: true }])
  const fleet = fleetOf(2, { device: () => ({ patience: 0 }) })
  await fleet.enroll()
  expect(fleet.counter.stats.enrolled).toBe(2)
  stage.server.queue.push(command('A', 'ProfileList'))
  fleet.push(0)
  await fleet.quiet(5)
  expect(fleet.counter.stats.results.Acknowledged).toBe(1)
  expect(fleet.counter.stats.lost).toBeGreaterThanOrEqual(2)
  expect(fleet.counter.violations).toEqual([])
})

test('a device that said NotNow last polls by itself', async () => {
  const fleet = fleetOf(1, { device: () => ({ mood: { script: { ProfileList: ['NotNow'] } } }) })
  await fleet.enroll()
  stage.server.queue.push(command('A', 'ProfileList'))
  fleet.push(0)
  await fleet.quiet(5)
  expect(fleet.counter.stats).toMatchObject({ sessions: 2, results: { NotNow: 1 } })
})

test('erased devices enrol again when told so', async () => {
  const fleet = fleetOf(1, { reEnrollMs: 1 })
  await fleet.enroll()
  stage.server.queue.push(command('A', 'EraseDevice'))
  fleet.push(0)
  await expect.poll(() => fleet.counter.stats).toMatchObject({ erased: 1, enrolled: 2 })
})

test('refusals and violations are counted by reason', async () => {
  stage.server.profileReply = { status: 404 }
  const fleet = fleetOf(2)
  await fleet.enroll()
  expect(fleet.counter.stats.refused).toEqual({ 'profile: the link answered 404': 2 })
  stage.server.profileReply = { type: 'text/plain' }
  await fleet.enroll()
  expect(fleet.counter.violations.map(({ kind }) => kind)).toEqual([
    'wrong_content_type',
    'wrong_content_type',
  ])
})

test('a limiter lets so many run at a time', async () => {
  const limit = createLimiter(3)
  let running = 0
  let most = 0
  const results = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      limit(async () => {
        most = Math.max(most, ++running)
        await new Promise((resolve) => setImmediate(resolve))
        running--
        return index
      }),
    ),
  )
  expect(most).toBe(3)
  expect(results).toEqual(Array.from({ length: 20 }, (_, index) => index))
})

test('a mood follows its script first, then its probabilities', () => {
  const mood = createMood(createRandom('mood'), {
    notNow: 0.2,
    fail: 0.1,
    script: { Settings: ['Error', 'Acknowledged'] },
  })
  expect([mood('Settings'), mood('Settings')]).toEqual(['Error', undefined])
  const counts = { NotNow: 0, Error: 0, CommandFormatError: 0, undefined: 0 }
  for (let i = 0; i < 10_000; i++) counts[`${mood('Settings') as 'NotNow' | 'Error' | undefined}`]++
  expect(counts.NotNow).toBeGreaterThan(1_800)
  expect(counts.NotNow).toBeLessThan(2_200)
  expect(counts.Error).toBeGreaterThan(850)
  expect(counts.Error).toBeLessThan(1_150)
  expect(counts.CommandFormatError).toBe(0)
})

import { expect, test } from 'vitest'
import { createGuard } from '../../../src/features/signin/guard.ts'
import { AppError } from '../../../src/kernel/errors.ts'
import { createFairQueue } from '../../../src/kernel/fair-queue.ts'
import { manualClock } from '../../support/manual-clock.ts'

const SUBJECTS = { account: 'account:1', pair: 'pair:1', network: 'network:1' }
const NOTHING = { retryAfterSeconds: 0, delayMs: 0, hasFailed: false }
const ATTEMPT = { userName: 'anna', password: 'p&ss', address: '10.0.0.1', requestId: 'r-1' }
const settle = () => new Promise((resolve) => setImmediate(resolve))

function world(verdict: Partial<typeof NOTHING> = {}) {
  const clock = manualClock()
  const noted: string[] = []
  const lockout = {
    subjectsOf: (userName: string) => ({ ...SUBJECTS, pair: `pair:${userName}` }),
    check: async () => ({ ...NOTHING, ...verdict }),
    noteFailure: async () => void noted.push('failure'),
    noteSuccess: async () => void noted.push('success'),
    expire: async () => undefined,
  }
  return { clock, noted, guarded: createGuard({ clock, lockout }) }
}

test('a wait of more than 10 s, expected or reached, is told as busy, and counts for nobody', async () => {
  const { clock, noted, guarded } = world()
  const hashers = createFairQueue({
    width: 1,
    perLane: 1,
    maxWaiting: 100,
    maxPerLane: 100,
    expectedMs: 4_000,
    clock,
  })
  const tryAs = (userName: string) =>
    guarded({ ...ATTEMPT, userName }, async (turn) => {
      await hashers.run(turn, () => new Promise<void>((resolve) => clock.after(60_000, resolve)))
      return { isRight: true, result: 'in' }
    })
  const tries = [tryAs('a'), tryAs('b'), tryAs('c')]
  await settle()
  const busy = { ok: false, reason: 'directory_unavailable', detail: expect.stringMatching(/^busy: /) }
  expect(await tryAs('d')).toEqual(busy)
  clock.advance(10_000)
  expect(await Promise.all(tries.slice(1))).toEqual([busy, busy])
  clock.advance(50_000)
  expect(await tries[0]).toBe('in')
  expect(noted).toEqual([])
})

test('the tries of one account in one network wait for each other, and not for long', async () => {
  const { clock, guarded } = world()
  let running = 0
  const tryIt = () =>
    guarded(ATTEMPT, async () => {
      running += 1
      await new Promise<void>((resolve) => clock.after(60_000, resolve))
      return { isRight: true, result: 'in' }
    })
  const tries = Array.from({ length: 6 }, tryIt)
  await settle()
  expect(running).toBe(4)
  clock.advance(10_000)
  expect(await Promise.all(tries.slice(4))).toEqual([
    expect.objectContaining({ reason: 'directory_unavailable' }),
    expect.objectContaining({ reason: 'directory_unavailable' }),
  ])
  clock.advance(50_000)
  expect(await Promise.all(tries.slice(0, 4))).toEqual(Array(4).fill('in'))
})

test('a try of an account that is guessed at takes longer', async () => {
  const { clock, guarded } = world({ delayMs: 500 })
  let asked = 0
  const result = guarded(ATTEMPT, async () => {
    asked += 1
    return { isRight: true, result: 'in' }
  })
  await settle()
  expect(asked).toBe(0)
  clock.advance(500)
  expect(await result).toBe('in')
})

test.each([
  ['', 'x'],
  ['an\0na', 'x'],
  ['anna\ud800', 'x'],
  ['anna', 'x\0'],
  ['anna', '\udfff'],
  ['anna', 'x'.repeat(1025)],
])('%j with %.20j is checked nowhere', async (userName, password) => {
  const { guarded, noted } = world()
  const result = await guarded({ ...ATTEMPT, userName, password }, () => Promise.reject(new Error('asked')))
  expect(result).toMatchObject({ reason: 'invalid_credentials' })
  expect(noted).toEqual([])
})

test('other errors are passed on, a wrong password is counted, a right one ends what was counted', async () => {
  const { guarded, noted } = world({ hasFailed: true })
  const broken = new AppError('internal')
  await expect(guarded(ATTEMPT, () => Promise.reject(broken))).rejects.toBe(broken)
  for (const isRight of [false, true, undefined]) await guarded(ATTEMPT, async () => ({ isRight, result: 1 }))
  expect(noted).toEqual(['failure', 'success'])
})

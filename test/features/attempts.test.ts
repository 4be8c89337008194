import { beforeAll, describe, expect, test } from 'vitest'
import { createAttempts, type Attempts } from '../../src/features/attempts/index.ts'
import { explainReason, REASON_CODES } from '../../src/features/attempts/reasons.ts'
import type { Tx } from '../../src/db/index.ts'
import { addTime } from '../../src/kernel/clock.ts'
import { describeEachEngine } from '../support/database.ts'
import { identityWorld, type World } from '../support/identity-world.ts'
import { openAttempt } from '../support/open-attempt.ts'

describeEachEngine('enrollment attempts', (database) => {
  let world: World
  let attempts: Attempts
  beforeAll(() => {
    world = identityWorld(database())
    attempts = createAttempts(world)
  })

  const open = (facts: { serial_number?: string; user_name?: string; minutes?: number } = {}) => {
    const { minutes = 60, ...rest } = facts
    const deadline = addTime(world.clock.now(), minutes, 'minute')
    return world.db.transaction((trx) =>
      openAttempt(
        trx,
        world.clock,
        { way: 'link', deadline, ...rest },
        { step: 'contact', outcome: 'passed' },
      ),
    )
  }

  /** What the first TokenUpdate makes of an attempt. */
  const enrolled = (trx: Tx, id: string) =>
    trx
      .updateTable('enrollment_attempts')
      .set({ outcome: 'enrolled', closed_at: world.clock.now(), updated_at: world.clock.now() })
      .where('id', '=', id)
      .execute()

  test('an attempt keeps its steps in order and ends enrolled', async () => {
    const id = await open({ serial_number: 'ORDER1' })
    await world.db.transaction(async (trx) => {
      await attempts.step(trx, id, { step: 'profile', outcome: 'passed' })
      await attempts.step(trx, id, { step: 'certificate', outcome: 'passed', detail: { not_after: 'x' } })
      await attempts.note(trx, id, { udid: 'UDID-1', enrollment_id: 'UDID-1' })
      await enrolled(trx, id)
    })
    const attempt = await attempts.get(id)
    expect(attempt).toMatchObject({
      outcome: 'enrolled',
      reason: null,
      udid: 'UDID-1',
      enrollment_id: 'UDID-1',
    })
    expect(attempt?.timeline.map(({ step }) => step)).toEqual(['contact', 'profile', 'certificate'])
    expect(attempt?.timeline[2]?.detail).toEqual({ not_after: 'x' })
    expect(attempt?.closed_at).toEqual(world.clock.now())
  })

  test('a refusal is told with everything that identifies the attempt', async () => {
    const id = await open({ serial_number: 'REFUSED1', user_name: 'ada' })
    await world.db.transaction((trx) =>
      attempts.reject(trx, id, {
        step: 'device_limit',
        reason: 'device_limit_exceeded',
        detail: { count: 2, limit: 2 },
        request_id: 'req-1',
      }),
    )
    const attempt = await attempts.get(id)
    expect(attempt).toMatchObject({ outcome: 'rejected', reason: 'device_limit_exceeded' })
    expect(attempt?.timeline.at(-1)).toMatchObject({ step: 'device_limit', reason: 'device_limit_exceeded' })
    const [event] = await world.eventsOf(id, 'enrollment.rejected')
    expect(event).toMatchObject({
      serial_number: 'REFUSED1',
      user_name: 'ada',
      reason: 'device_limit_exceeded',
    })
    expect(event?.data).toMatchObject({ count: 2, limit: 2, step: 'device_limit' })
    expect(world.logged('enrollment.rejected', { request_id: 'req-1', serial_number: 'REFUSED1' })).toBe(true)
    expect(await world.counted('enrollment.rejected', 'device_limit_exceeded')).toBeGreaterThan(0)
  })

  test('one that was refused stays so, and one that had enrolled is not undone by a later refusal', async () => {
    const refused = await open()
    const inside = await open()
    await world.db.transaction(async (trx) => {
      await attempts.reject(trx, refused, { step: 'profile', reason: 'push_certificate_missing' })
      await enrolled(trx, inside)
      await attempts.reject(trx, inside, { step: 'authenticate', reason: 'certificate_mismatch' })
    })
    expect(await attempts.get(refused)).toMatchObject({
      outcome: 'rejected',
      reason: 'push_certificate_missing',
    })
    const kept = await attempts.get(inside)
    expect(kept).toMatchObject({ outcome: 'enrolled', reason: null })
    expect(kept?.timeline.at(-1)).toMatchObject({ outcome: 'refused', reason: 'certificate_mismatch' })
  })

  test('what went nowhere counts as abandoned once, and the timeline says at which step', async () => {
    const silent = await open({ serial_number: 'SILENT', minutes: 1 })
    const certified = await open({ minutes: 1 })
    const later = await open({ minutes: 1 })
    await world.db.transaction(async (trx) => {
      await attempts.step(trx, certified, { step: 'profile', outcome: 'passed' })
      await attempts.step(trx, certified, { step: 'certificate', outcome: 'passed' })
      await attempts.note(trx, later, { deadline: addTime(world.clock.now(), 600, 'minute') })
    })
    world.clock.advance(2, 'minute')
    const counts = await Promise.all([attempts.expire(), attempts.expire()])
    expect(counts[0] + counts[1]).toBe(2)
    expect(await attempts.get(silent)).toMatchObject({ outcome: 'expired', reason: 'abandoned' })
    expect((await attempts.get(silent))?.timeline.at(-1)).toMatchObject({
      step: 'profile',
      reason: 'abandoned',
    })
    expect((await attempts.get(certified))?.timeline.at(-1)).toMatchObject({ step: 'authenticate' })
    expect(await attempts.get(later)).toMatchObject({ outcome: 'in_progress' })
    expect(await world.eventsOf(silent, 'enrollment.abandoned')).toMatchObject([
      { serial_number: 'SILENT', reason: 'abandoned' },
    ])
  })

  test('what goes nowhere keeps its last refusal as its reason, unless that was passed after it', async () => {
    const [refused, mended] = [await open({ minutes: 1 }), await open({ minutes: 1 })]
    await world.db.transaction(async (trx) => {
      const wrong = { step: 'sign_in', reason: 'invalid_credentials', user_name: 'eva@example.com' } as const
      for (const id of [refused, mended]) await attempts.refuseStep(trx, id, wrong)
      await attempts.refuseStep(trx, refused, {
        ...wrong,
        reason: 'password_expired',
        detail: { problem: 'x' },
      })
      await attempts.step(trx, mended, { step: 'sign_in', outcome: 'passed', user_name: 'eva@example.com' })
    })
    const shown = async () =>
      (await attempts.list({ reason: 'password_expired', limit: 10 })).map(({ id }) => id)
    expect(await shown()).toEqual([refused])
    world.clock.advance(2, 'minute')
    await attempts.expire()
    expect(await attempts.get(refused)).toMatchObject({ outcome: 'expired', reason: 'password_expired' })
    expect(await attempts.get(mended)).toMatchObject({ outcome: 'expired', reason: 'abandoned' })
    expect(await shown()).toEqual([refused])
    expect(await world.eventsOf(refused, 'enrollment.abandoned')).toMatchObject([
      { reason: 'password_expired' },
    ])
  })

  test('a reason and a person are found at any step, whoever the attempt is of in the end', async () => {
    const id = await open({ user_name: 'final@example.com' })
    await world.db.transaction(async (trx) => {
      const wrong = { step: 'sign_in', reason: 'mfa_required' } as const
      await attempts.refuseStep(trx, id, { ...wrong, user_name: 'Élan@example.com' })
      await attempts.step(trx, id, { step: 'sign_in', outcome: 'passed', user_name: 'final@example.com' })
      await enrolled(trx, id)
    })
    for (const query of [
      { reason: 'mfa_required' },
      { user_name: 'e\u0301lan@EXAMPLE.com' },
      { user_name: 'FINAL@example.com' },
      { reason: 'mfa_required', user_name: 'élan@example.com', outcome: 'enrolled' as const },
    ])
      expect((await attempts.list({ ...query, limit: 10 })).map((each) => each.id)).toEqual([id])
    expect(await attempts.list({ reason: 'mfa_required', outcome: 'rejected', limit: 10 })).toEqual([])
    expect(await attempts.list({ reason: 'mfa_required', before: id, limit: 10 })).toEqual([])
  })

  test('the list is newest first, narrowed, and goes on without gap', async () => {
    const ids: string[] = []
    for (let count = 0; count < 5; count++) {
      ids.push(await open({ serial_number: 'LISTED', user_name: 'Zoé' }))
      world.clock.advance(1, 'second')
    }
    const first = await attempts.list({ serial_number: 'LISTED', limit: 3 })
    expect(first.map(({ id }) => id)).toEqual(ids.toReversed().slice(0, 3))
    const rest = await attempts.list({ serial_number: 'LISTED', before: first[2]!.id, limit: 3 })
    expect(rest.map(({ id }) => id)).toEqual(ids.toReversed().slice(3))
    expect(await attempts.list({ user_name: 'ZOE\u0301', limit: 10 })).toHaveLength(5)
    expect(await attempts.list({ user_name: 'zoe', limit: 10 })).toHaveLength(0)
    expect(await attempts.list({ serial_number: 'LISTED', outcome: 'rejected', limit: 10 })).toEqual([])
  })

  test('old attempts go, with their steps; those in progress stay', async () => {
    const old = await open({ serial_number: 'OLD' })
    const running = await open({ serial_number: 'RUNNING', minutes: 60 * 24 * 1000 })
    await world.db.transaction((trx) => enrolled(trx, old))
    world.clock.advance(400, 'day')
    const fresh = await open({ serial_number: 'FRESH' })
    await world.db.transaction((trx) => enrolled(trx, fresh))
    await attempts.deleteOld(365)
    expect(await attempts.get(old)).toBeUndefined()
    // What comes of it much later has no timeline to be noted in, and does not fail for that.
    await world.db.transaction((trx) => attempts.step(trx, old, { step: 'configured', outcome: 'passed' }))
    expect(await attempts.get(old)).toBeUndefined()
    expect(await attempts.get(running)).toBeDefined()
    expect(await attempts.get(fresh)).toBeDefined()
  })

  test('characters that the database refuses are replaced, not fatal', async () => {
    const id = await open({ serial_number: 'NUL\0' })
    expect(await attempts.get(id)).toMatchObject({ serial_number: 'NUL\uFFFD' })
    expect(await attempts.get('nothing\0')).toBeUndefined()
  })
})

describe('reasons', () => {
  test('each has a sentence of its own', () => {
    expect(REASON_CODES).toHaveLength(32)
    expect(new Set(REASON_CODES.map((reason) => explainReason(reason))).size).toBe(REASON_CODES.length)
    expect(explainReason(null)).toBeNull()
    expect(explainReason('of_a_newer_version')).toBe('of_a_newer_version')
  })
})

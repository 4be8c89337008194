import fc from 'fast-check'
import { expect, test } from 'vitest'
import { adeTroubles, type ScriptedCall } from '../../../src/simulator/ade-cloud-answers.ts'
import { adeWorld } from '../../support/ade-world.ts'
import { describeEachEngine } from '../../support/database.ts'

const SERIALS = ['A', 'B', 'C', 'D', 'E']
const HOUR = 60 * 60_000
const MAX_ROUNDS = 12

const trouble = fc.constantFrom<ScriptedCall>(
  ...(['lost', 'reset', 'html', 'half', 'right', 'right'] as const),
  ...[adeTroubles.unavailable(), adeTroubles.throttled(30)],
)
const result = fc.constantFrom<'SUCCESS' | 'FAILED' | 'THROTTLED'>('SUCCESS', 'FAILED', 'THROTTLED')
const wish = fc.record({
  policy: fc.constantFrom('one', 'two', 'none'),
  serials: fc.subarray(SERIALS, { minLength: 1 }),
})

/** What an administrator wants and what goes wrong while it is done. */
const script = fc.record({
  wishes: fc.array(wish, { minLength: 1, maxLength: 4 }),
  profile: fc.array(trouble, { maxLength: 3 }),
  assign: fc.array(trouble, { maxLength: 3 }),
  details: fc.array(trouble, { maxLength: 2 }),
  results: fc.array(fc.tuple(fc.constantFrom(...SERIALS), result), { maxLength: 4 }),
})

describeEachEngine('whatever Apple answers', (database, engine) => {
  test('it ends with what was wanted, in a bounded number of calls, none of them repeated', async () => {
    const world = await adeWorld(database())
    await world.server('Zurich', SERIALS)
    const policies = { one: await world.policy('One'), two: await world.policy('Two') }
    const wanted = new Map<string, 'one' | 'two'>()

    await fc.assert(
      fc.asyncProperty(script, async ({ wishes, profile, assign, details, results }) => {
        const callsBefore = world.fake.calls.length
        world.fake.script('/profile', ...profile)
        world.fake.script('/profile/devices', ...assign)
        world.fake.script('/devices', ...details)
        for (const [serial, word] of results) world.fake.scriptSerial(serial, word)
        for (const { policy, serials } of wishes) {
          for (const serial of serials) {
            const present = wanted.get(serial)
            if (policy !== 'none') await world.assign(policies[policy], [serial])
            else if (present !== undefined) await world.unassign(policies[present], [serial])
            if (policy === 'none') wanted.delete(serial)
            else wanted.set(serial, policy)
          }
          await world.first.reconcile()
        }
        const unsettled = () =>
          database()
            .kysely.selectFrom('ade_devices')
            .selectAll()
            .where('assignment_state', '!=', 'assigned')
            .execute()
        for (let round = 0; round < MAX_ROUNDS && (await unsettled()).length > 0; round += 1) {
          world.clock.advance(HOUR)
          await world.first.reconcile()
        }
        const found = SERIALS.map((serial) => {
          const { profileUuid } = world.fake.device(serial)
          return profileUuid === undefined ? undefined : world.fake.profile(profileUuid)?.['profile_name']
        })
        expect(found).toEqual(
          SERIALS.map(
            (serial) => ({ one: 'One', two: 'Two', none: undefined })[wanted.get(serial) ?? 'none'],
          ),
        )
        expect(world.fake.violations).toEqual([])
        expect(world.fake.calls.length - callsBefore).toBeLessThan(80)
      }),
      // The world goes on from script to script, so that a smaller script would not be the same one.
      { numRuns: engine === 'postgres' ? 25 : 10, endOnFailure: true },
    )
  }, 120_000)
})

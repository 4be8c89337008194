import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ScriptedCall } from '../../../src/simulator/apple-cloud/call-script.ts'
import { adeTroubles } from '../../support/ade-troubles.ts'
import { adeWorld, type AdeWorld } from '../../support/ade-world.ts'
import { describeEachEngine } from '../../support/database.ts'

const SERIALS = ['A', 'B', 'C', 'D', 'E']
const HOUR = 60 * 60_000
const MAX_ROUNDS = 24
const MAX_CALLS = 200

type SerialWord = 'SUCCESS' | 'FAILED' | 'THROTTLED'

/** What an administrator wants and what goes wrong while it is done. */
interface Script {
  /** Policies that devices are given, that are taken from them (none), or whose content changes (no devices). */
  wishes: { policy: 'one' | 'two' | 'none'; serials: string[] }[]
  profile?: ScriptedCall[]
  assign?: ScriptedCall[]
  details?: ScriptedCall[]
  results?: (readonly [string, SerialWord])[]
}

const trouble = fc.constantFrom<ScriptedCall>(
  ...(['lost', 'reset', 'html', 'half', 'right', 'right'] as const),
  ...[adeTroubles.unavailable(), adeTroubles.throttled(30)],
)
const result = fc.constantFrom<SerialWord>('SUCCESS', 'FAILED', 'THROTTLED')
const wish = fc.record({
  policy: fc.constantFrom('one', 'two', 'none'),
  serials: fc.subarray(SERIALS),
})
const script = fc.record({
  wishes: fc.array(wish, { minLength: 1, maxLength: 4 }),
  profile: fc.array(trouble, { maxLength: 3 }),
  assign: fc.array(trouble, { maxLength: 3 }),
  details: fc.array(trouble, { maxLength: 2 }),
  results: fc.array(fc.tuple(fc.constantFrom(...SERIALS), result), { maxLength: 4 }),
})

/** Makes what plays scripts in a world, one after the other, and looks at the end of each what Apple has. */
async function createPlay(world: AdeWorld) {
  await world.server('Zurich', SERIALS)
  const ids = { one: await world.policy('One'), two: await world.policy('Two') }
  const contents = { one: 0, two: 0 }
  const wanted = new Map<string, 'one' | 'two'>()
  /** Troubles by path that are still to come. */
  const left = new Map<string, number>()

  async function grant(policy: Script['wishes'][number]['policy'], serials: string[]): Promise<void> {
    if (policy !== 'none' && serials.length === 0) {
      contents[policy] += 1
      await world.policies.update(ids[policy], { ade: { department: `${contents[policy]}` } }, world.by)
    }
    for (const serial of serials) {
      const present = wanted.get(serial)
      if (policy !== 'none') await world.assign(ids[policy], [serial])
      else if (present !== undefined) await world.unassign(ids[present], [serial])
      if (policy === 'none') wanted.delete(serial)
      else wanted.set(serial, policy)
    }
  }

  const unsettled = () =>
    world.db.kysely
      .selectFrom('ade_devices')
      .select('serial_number')
      .where('assignment_state', '!=', 'assigned')
      .execute()

  return async (played: Script): Promise<void> => {
    const { wishes, profile = [], assign = [], details = [], results = [] } = played
    const callsBefore = world.fake.calls.length
    const troubles = { '/profile': profile, '/profile/devices': assign, '/devices': details }
    for (const [path, answers] of Object.entries(troubles)) {
      // What a script has not used up comes in those after it, and nothing more as long as it does.
      if ((left.get(path) ?? 0) > 0) continue
      world.fake.script(path, ...answers)
      left.set(path, answers.length)
    }
    for (const [serial, word] of results) world.fake.scriptSerial(serial, word)
    for (const { policy, serials } of wishes) {
      await grant(policy, serials)
      await world.first.reconcile()
    }
    // At least once, for a policy that changed while Apple was in trouble.
    let round = 0
    do {
      world.clock.advance(HOUR)
      await world.first.reconcile()
      round += 1
    } while (round < MAX_ROUNDS && (await unsettled()).length > 0)
    expect(await unsettled()).toEqual([])
    const found = SERIALS.map((serial) => {
      const { profileUuid } = world.fake.device(serial)
      const at = profileUuid === undefined ? undefined : world.fake.profile(profileUuid)
      return at && [at['profile_name'], at['department'] ?? '0']
    })
    const right = { one: ['One', `${contents.one}`], two: ['Two', `${contents.two}`], none: undefined }
    expect(found).toEqual(SERIALS.map((serial) => right[wanted.get(serial) ?? 'none']))
    expect(world.fake.violations).toEqual([])
    for (const { path } of world.fake.calls.slice(callsBefore)) left.set(path, (left.get(path) ?? 0) - 1)
    expect(world.fake.calls.length - callsBefore).toBeLessThan(MAX_CALLS)
  }
}

describeEachEngine('whatever Apple answers', (database, engine) => {
  test('it ends with what was wanted, in a bounded number of calls, none of them repeated', async () => {
    const play = await createPlay(await adeWorld(database()))
    await fc.assert(
      fc.asyncProperty(script, play),
      // The world goes on from script to script, so that a smaller script would not be the same one.
      { numRuns: engine === 'postgres' ? 25 : 10, endOnFailure: true },
    )
  })

  const throttled: Script = {
    wishes: [
      { policy: 'none', serials: ['A'] },
      { policy: 'two', serials: ['E'] },
      { policy: 'one', serials: ['B'] },
    ],
    assign: ['lost', 'reset', 'reset'],
    results: [
      ['E', 'FAILED'],
      ['C', 'FAILED'],
      ['C', 'FAILED'],
      ['E', 'THROTTLED'],
    ],
  }
  test.each<[string, Script]>([
    ['calls are lost and one device is put off', throttled],
    [
      'the profile is defined, which nobody can read, for a device put off',
      { ...throttled, profile: ['half'] },
    ],
    ['a page of a proxy hides that a profile is defined', { ...throttled, profile: ['html', 'lost'] }],
    [
      'a removal is done, which nobody hears, and the next call is refused',
      {
        wishes: [
          { policy: 'one', serials: ['A', 'B'] },
          { policy: 'none', serials: ['A', 'B'] },
          { policy: 'one', serials: ['A'] },
        ],
        assign: ['lost', adeTroubles.throttled(30), 'right'],
      },
    ],
  ])('so it is when %s', async (_, played) => {
    const play = await createPlay(await adeWorld(database()))
    await play(played)
  })
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ScriptedCall } from '../../../src/simulator/apple-cloud/call-script.ts'
import { adeWorld } from '../../support/ade-world.ts'
import { describeEachEngine } from '../../support/database.ts'

const HOUR = 60 * 60_000
const SERIALS = ['GOOD1', 'GOOD2', 'GOOD3']
const OPTIONAL = [
  ...['model', 'description', 'color', 'asset_tag', 'device_family', 'os', 'profile_status', 'profile_uuid'],
  ...['profile_assign_time', 'profile_push_time', 'device_assigned_date', 'device_assigned_by'],
  ...['mdm_migration_deadline', 'op_date', 'op_type', 'response_status', 'not_known_yet'],
]

const page = (json: unknown): ScriptedCall => ({ raw: JSON.stringify(json) })

const odd = fc.oneof(
  fc.jsonValue(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('N/A', '', 'x'.repeat(3_000), '\u0000', '\ud800', '0000-01-01T00:00:00Z', '9999-12-31'),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc.constantFrom(Number.MAX_VALUE, -1, 2 ** 53, { __proto__: null, toString: 1 }, [[[]]]),
)
/** `deleted` is no odd value but an order. */
const fields = fc
  .uniqueArray(fc.constantFrom(...OPTIONAL), { maxLength: 6 })
  .chain((names) => fc.record(Object.fromEntries(names.map((name) => [name, odd]))))
  .filter(({ op_type: type }) => typeof type !== 'string' || type.trim().toLowerCase() !== 'deleted')
const good = fc
  .tuple(fc.constantFrom(...SERIALS), fields)
  .map(([serial, more]) => ({ ...more, serial_number: serial }))
const nameless = fc.oneof(
  fc.constantFrom<unknown>(null, 'GOOD1', 7, [], {}),
  fields.map((more) => ({ ...more, serial_number: [] })),
)
const script = fc.record({
  records: fc.array(fc.oneof(good, good, nameless), { maxLength: 8 }),
  account: odd,
  results: fc.dictionary(fc.constantFrom(...SERIALS, 'x y', '__proto__'), odd),
  more: fc.dictionary(fc.constantFrom('fetched_until', 'total', 'retry_after_seconds'), odd),
})

describeEachEngine('whatever stands in the answers', (database, engine) => {
  test('every device that has a serial number arrives, and every one is assigned in the end', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', SERIALS)
    const policies = [await world.policy('One'), await world.policy('Two')]
    let round = 0
    await fc.assert(
      fc.asyncProperty(script, async ({ records, account, results, more }) => {
        round += 1
        world.clock.advance(25 * HOUR)
        await world.db.kysely
          .updateTable('ade_servers')
          .set({ last_full_sync_started_at: world.clock.now() })
          .execute()
        world.fake.script('/account', page(account))
        world.fake.script(
          '/devices/sync',
          page({ ...more, devices: records, cursor: `cursor ${round}`, more_to_follow: false }),
        )
        const before = world.clock.now()
        const run = await world.sync(id)
        expect([run.state, run.error]).toEqual(['succeeded', null])
        expect(world.clock.now()).toEqual(before)
        const isNameless = (one: unknown) =>
          !SERIALS.includes(String((one as { serial_number: unknown } | null)?.serial_number))
        expect(run.left_out).toBe(records.filter(isNameless).length)

        const policyId = policies[round % 2]!
        await world.assign(policyId, SERIALS)
        world.fake.script('/profile/devices', page({ devices: results, retry_after_seconds: account }))
        world.fake.script('/profile', { edit: (json) => ({ ...more, ...json, devices: results }) })
        for (let tries = 0; tries < 4; tries += 1) {
          await world.first.reconcile()
          world.fake.clientDied()
          world.clock.advance(HOUR)
        }
        for (const serial of SERIALS) {
          expect(await world.device(serial)).toMatchObject({
            policy_id: policyId,
            assignment_state: 'assigned',
          })
        }
        const { call } = await world.api()
        expect((await call('GET', '/ade-devices')).status).toBe(200)
      }),
      { numRuns: engine === 'postgres' ? 25 : 10, endOnFailure: true },
    )
  })
})

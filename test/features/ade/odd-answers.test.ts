import { expect, test, vi } from 'vitest'
import { judgePage, noProgress } from '../../../src/features/ade/syncs/verdict.ts'
import { adeTroubles } from '../../support/ade-troubles.ts'
import type { ScriptedCall } from '../../../src/simulator/apple-cloud/call-script.ts'
import { adeWorld, type AdeWorld } from '../../support/ade-world.ts'
import { describeEachEngine } from '../../support/database.ts'

// The limit is for what hangs, not for a busy machine.
vi.setConfig({ testTimeout: 60_000 })

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

type Json = Record<string, unknown>

const edit = (change: (json: Json) => unknown): ScriptedCall => ({ edit: change })
const page = (json: unknown): ScriptedCall => ({ raw: JSON.stringify(json) })
const record = (serial: unknown, more: Json = {}) => ({ serial_number: serial, op_type: 'added', ...more })

async function stored(world: AdeWorld) {
  const rows = await world.db.kysely.selectFrom('ade_devices').selectAll().orderBy('serial_number').execute()
  return rows.map((row) => `${row.serial_number} ${row.removed_at === null ? 'here' : 'removed'}`)
}

describeEachEngine('answers of another form than Apple documents', (database) => {
  test('a first page whose cursor repeats is written, then the run fails; the next begins anew', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich')
    world.clock.advance(8 * DAY)
    world.fake.portal.addDevices(['A', 'B'], 'Zurich')
    const stuck = { devices: [record('A'), record('B')], cursor: 'beef', more_to_follow: true }
    world.fake.script('/server/devices', page(stuck), page({ ...stuck, devices: [record('C')] }))
    expect(await world.sync(id)).toMatchObject({ state: 'failed', error_code: 'repeated_cursor', seen: 3 })
    expect(await stored(world)).toEqual(['A here', 'B here', 'C here'])
    expect((await world.ade.parts.servers.get(id)).cursor).toBeNull()
    expect(await world.sync(id)).toMatchObject({ kind: 'full', state: 'succeeded', seen: 2, removed: 1 })
    expect(await stored(world)).toEqual(['A here', 'B here', 'C removed'])
  })

  test.each([
    ['of the question', ['same_cursor', 'same_cursor']],
    [
      'of an earlier page',
      [
        page({ devices: [record('B')], cursor: 'one', more_to_follow: true }),
        page({ devices: [record('C')], cursor: 'two', more_to_follow: true }),
        page({ devices: [record('D')], cursor: 'one', more_to_follow: true }),
      ],
    ],
  ] as [string, ScriptedCall[]][])(
    'in a sync, the cursor %s: written, and failed',
    async (_what, answers) => {
      const world = await adeWorld(database())
      const id = await world.server('Zurich', ['A'])
      world.clock.advance(HOUR)
      world.fake.portal.addDevices(['E'], 'Zurich')
      world.fake.script('/devices/sync', ...answers)
      const run = await world.sync(id)
      expect(run).toMatchObject({ state: 'failed', error_code: 'repeated_cursor', kind: 'incremental' })
      expect(run.added).toBe(answers.length === 2 ? 1 : 3)
      world.fake.script('/devices/sync', 'right')
      world.fake.script('/server/devices', 'right')
      expect(await world.sync(id)).toMatchObject({ state: 'succeeded' })
      expect(await stored(world)).toContain('E here')
    },
  )

  test('a cursor that is missing: the last page does without, another one is written and fails', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    world.clock.advance(HOUR)
    const { cursor } = await world.ade.parts.servers.get(id)
    world.fake.script('/devices/sync', page({ devices: [record('B')], more_to_follow: false, cursor: 7 }))
    expect(await world.sync(id)).toMatchObject({ state: 'succeeded', added: 1 })
    expect((await world.ade.parts.servers.get(id)).cursor).toBe(cursor)
    world.fake.script('/devices/sync', page({ devices: [record('C')], more_to_follow: true, cursor: null }))
    expect(await world.sync(id)).toMatchObject({ state: 'failed', error_code: 'no_cursor', added: 1 })
    world.fake.script('/devices/sync', page({ devices: [record('D')], cursor: 'x'.repeat(5_000) }))
    expect(await world.sync(id)).toMatchObject({ state: 'failed', error_code: 'no_cursor', added: 1 })
    expect(await world.sync(id)).toMatchObject({ state: 'succeeded' })
    expect(await stored(world)).toEqual(['A here', 'B here', 'C here', 'D here'])
  })

  test('where it is not said whether more follows, asking on tells; nothing is taken for gone meanwhile', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A', 'B', 'C'])
    world.clock.advance(8 * DAY)
    const silent = edit(({ devices, cursor }) => ({ devices, cursor }))
    world.fake.script('/server/devices', silent)
    expect(await world.sync(id)).toMatchObject({ state: 'succeeded', seen: 3, removed: 0 })
    expect(await stored(world)).toEqual(['A here', 'B here', 'C here'])
    world.clock.advance(8 * DAY)
    world.fake.script('/server/devices', page({ devices: [] }))
    expect(await world.sync(id)).toMatchObject({ state: 'failed', error_code: 'no_cursor', removed: 0 })
    expect(await stored(world)).toEqual(['A here', 'B here', 'C here'])
  })

  test('an odd value of a record or of the account stops nothing and waits for nothing', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    world.clock.advance(2 * DAY)
    const odd = (value: unknown) => ({
      ...{ profile_push_time: value, profile_assign_time: value, device_assigned_date: value },
      ...{ model: value, description: value, profile_uuid: value, profile_status: value, os: value },
      ...{ op_date: value, mdm_migration_deadline: value, device_assigned_by: value },
    })
    const values = ['N/A', 7, true, null, [], { a: {} }, 'x'.repeat(3_000), 'a\u0000b', '\ud800', '']
    const dates = ['0000-01-01T00:00:00Z', '9999-12-31T23:59:59-23:59', '2027-12-31T23:59:60Z', '-271821']
    const devices = [...values, ...dates].map((value, index) => record(`N${index}`, odd(value)))
    world.fake.script(
      '/account',
      page({ server_name: 7, server_uuid: [], org_name: 'x'.repeat(3_000), urls: { a: 1 } }),
    )
    world.fake.script('/devices/sync', page({ devices, cursor: 'beef', more_to_follow: false }))
    const before = world.clock.now()
    expect(await world.sync(id)).toMatchObject({ state: 'succeeded', added: devices.length, left_out: 0 })
    expect(world.clock.now()).toEqual(before)
    expect(await stored(world)).toEqual(
      ['A here', ...devices.map(({ serial_number }) => `${String(serial_number)} here`)].toSorted(),
    )
    expect(await world.ade.parts.servers.get(id)).toMatchObject({ org_name: 'Example AG' })
    const { call } = await world.api()
    expect((await call('GET', '/ade-devices?limit=100')).body.items).toHaveLength(devices.length + 1)
  })

  test.each([
    ['a list', { raw: '[]' }],
    ['a page of a proxy', { raw: '<html>', answerStatus: 403 }],
    ['nothing', { raw: '' }],
    ['an error of the service', adeTroubles.unavailable()],
    ['a refusal', { status: 404, code: 'NOT_FOUND' }],
    ['limits beyond any number', page({ urls: [{ uri: '/devices/sync', limit: { maximum: 1e18 } }] })],
  ] as [string, ScriptedCall][])('%s instead of the account stops no sync', async (_what, answer) => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    world.clock.advance(2 * DAY)
    world.fake.script('/account', answer)
    expect(await world.sync(id)).toMatchObject({ state: 'succeeded' })
  })

  test('a record without a usable serial number is left out and told, and makes nobody removed', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A', 'B', 'C'])
    world.clock.advance(8 * DAY)
    const records = [record('A'), record(' b '), record(7), 'C', null, {}, record('x y'), record('A\u0000')]
    world.fake.script(
      '/server/devices',
      page({ devices: records, cursor: 'beef', more_to_follow: true }),
      page({ devices: [record('D')], cursor: 'cafe', more_to_follow: false }),
    )
    const run = await world.sync(id)
    expect(run).toMatchObject({ state: 'succeeded', seen: 3, added: 1, removed: 0, left_out: 6 })
    expect(await stored(world)).toEqual(['A here', 'B here', 'C here', 'D here'])
    const { call } = await world.api()
    expect((await call('GET', `/ade-servers/${id}/syncs/${run.id}`)).body.left_out).toBe(6)
    const told = world.first.emitted.filter(({ type }) => type === 'ade_sync.records_left_out')
    expect(told.map(({ data }) => data)).toMatchObject([
      {
        count: 6,
        records: [{ index: 2 }, { index: 3 }, { index: 4 }, { index: 5 }, { index: 6 }, { index: 7 }],
      },
    ])
    expect(world.first.emitted.at(-1)?.data).toMatchObject({ left_out: 6 })
    world.clock.advance(8 * DAY)
    expect(await world.sync(id)).toMatchObject({ state: 'succeeded', removed: 1, left_out: 0 })
  })

  test('dates that are missing or to come do not outdo later records', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A', 'B'])
    const bern = await world.server('Bern')
    world.clock.advance(HOUR)
    const far = '2099-01-01T00:00:00Z'
    const pages = (...devices: Json[]) =>
      page({ devices, cursor: `c${Math.random()}`, more_to_follow: false })
    world.fake.script(
      '/devices/sync',
      pages(record('A', { op_date: far, device_assigned_date: far, op_type: 'modified' })),
      pages(record('A', { op_date: world.clock.now().toISOString(), op_type: 'DELETED' })),
    )
    await world.sync(id)
    await world.sync(id)
    expect(await stored(world)).toEqual(['A removed', 'B here'])
    // To another server, without a word of when.
    world.fake.script('/devices/sync', pages(record('B')), pages(record('B', { op_type: 'deleted' })))
    await world.sync(bern)
    expect((await world.device('B')).ade_server_id).toBe(bern)
    await world.sync(id)
    expect((await world.device('B')).ade_server_id).toBe(bern)
    expect(await stored(world)).toEqual(['A removed', 'B here'])
    // Of records of one page without a date the last counts.
    world.fake.script(
      '/devices/sync',
      pages(record('C', { op_date: world.clock.now().toISOString() }), record('C', { op_type: 'deleted' })),
    )
    await world.sync(id)
    expect(await stored(world)).toContain('C removed')
  })

  test('a record that does not name the profile is no drift', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    await world.assign(await world.policy('Sales'), ['A'])
    await world.first.reconcile()
    world.clock.advance(HOUR)
    const odd = { profile_status: 'pushed', profile_uuid: 'N/A', op_type: 'modified' }
    world.fake.script(
      '/devices/sync',
      page({ devices: [record('A', odd)], cursor: 'b', more_to_follow: false }),
    )
    await world.sync(id)
    expect(await world.device('A')).toMatchObject({
      ...{ assignment_state: 'assigned', apple_profile_status: 'pushed' },
      apple_profile_uuid: world.fake.device('A').profileUuid,
    })
  })

  test('odd answers to assignments: each device by itself, and it ends', async () => {
    const world = await adeWorld(database())
    await world.server('Zurich', ['A', 'B', 'C', 'D'])
    const policyId = await world.policy('Sales')
    const answers = (devices: unknown) => edit((json) => ({ ...json, devices, retry_after_seconds: 'soon' }))
    world.fake.script('/profile', answers({ A: 'SUCCESS', B: { response_status: 'success' }, C: 5, d: null }))
    await world.assign(policyId, ['A', 'B', 'C', 'D'])
    await world.first.reconcile()
    const states = async () =>
      Promise.all(['A', 'B', 'C', 'D'].map(async (serial) => (await world.device(serial)).assignment_state))
    expect(await states()).toEqual(['assigned', 'assigned', 'failed', 'failed'])
    world.fake.clientDied()
    world.clock.advance(6 * MINUTE)
    await world.first.reconcile()
    expect(await states()).toEqual(['assigned', 'assigned', 'assigned', 'assigned'])
    world.fake.script('/profile/devices', page({ devices: { A: 'success', B: [], C: 'WHO_KNOWS' } }))
    await world.unassign(policyId, ['A', 'B', 'C', 'D'])
    await world.first.reconcile()
    expect(await states()).toEqual([null, 'failed', 'failed', 'failed'])
    world.clock.advance(6 * MINUTE)
    await world.first.reconcile()
    expect(await states()).toEqual([null, null, null, null])
  })

  test('what became of a call is not asked for ever where Apple cannot tell', async () => {
    const world = await adeWorld(database())
    await world.server('Zurich', ['A'])
    world.fake.script('/profile', 'lost')
    world.fake.script('/devices', ...Array.from({ length: 50 }, () => page(['strange'])))
    await world.assign(await world.policy('Sales'), ['A'])
    for (let round = 0; round < 12; round += 1) {
      await world.first.reconcile()
      world.clock.advance(2 * MINUTE)
    }
    expect((await world.device('A')).assignment_state).toBe('assigned')
  })

  test('while Apple cannot be reached there is one warning, at the first retry', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    world.clock.advance(HOUR)
    const warnings = () =>
      world.first
        .logged()
        .filter(({ level, event }) => level === 'warn' && /put_off|retry/.test(String(event)))
    world.fake.script('/devices/sync', ...Array.from({ length: 5 }, () => adeTroubles.unavailable()))
    expect(await world.sync(id, { pauses: true })).toMatchObject({ state: 'succeeded' })
    expect(warnings()).toMatchObject([
      { event: 'ade_sync.retrying', reason: 'unavailable', sync_id: expect.any(String) },
    ])
    world.fake.answerAll('reset')
    await world.assign(await world.policy('Sales'), ['A'])
    for (let round = 0; round < 5; round += 1) {
      await world.first.reconcile()
      world.clock.advance(2 * MINUTE)
    }
    expect(warnings().slice(1)).toMatchObject([{ event: 'ade.put_off', reason: 'unavailable' }])
    world.fake.answerAll(null)
    await world.first.reconcile()
    expect((await world.device('A')).assignment_state).toBe('assigned')
  })
})

test('pages that never end, and cursors that turn in a circle, are told from progress', () => {
  const progress = noProgress()
  const one = (cursor: string, devices: unknown[] = [{}]) =>
    judgePage(
      { devices, leftOut: [], cursor, fetchedUntil: undefined, moreToFollow: true } as unknown as Parameters<
        typeof judgePage
      >[0],
      null,
      progress,
    )
  let count = 0
  while (one(`c${count}`).isMore) count += 1
  expect(count).toBeLessThan(5_000)
  expect(one('a').failure).toMatchObject({ code: 'endless_pages' })
  expect(one('c7')).toMatchObject({ failure: { code: 'repeated_cursor' }, isStuck: true })
})

import { expect, test } from 'vitest'
import type { Tx } from '../../../src/db/index.ts'
import { adeTroubles } from '../../support/ade-troubles.ts'
import { adeWorld, type AdeWorld } from '../../support/ade-world.ts'
import { describeEachEngine } from '../../support/database.ts'
import { serialNumbersWith, serversGiving } from '../../../src/db/statements/uses.ts'

// The limit is for what hangs, not for a busy machine.

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
/** How long a call that was begun may take to arrive on a busy machine. */

const serials = (count: number, prefix = 'SN') =>
  Array.from({ length: count }, (_, index) => `${prefix}${String(index).padStart(5, '0')}`)

async function stored(world: AdeWorld) {
  const rows = await world.db.kysely.selectFrom('ade_devices').selectAll().orderBy('serial_number').execute()
  return rows.map((row) => [row.serial_number, row.removed_at === null ? 'here' : 'removed'])
}

/** Calls that were answered rightly; the session may have ended before. */
const paths = (world: AdeWorld) =>
  world.fake.calls.filter(({ status }) => status === 200).map(({ path }) => path)

describeEachEngine('syncs', (database) => {
  test('the first token starts a full sync, which brings every serial number', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', serials(2_300))
    const [run] = await database().kysely.selectFrom('ade_syncs').selectAll().execute()
    expect(run).toMatchObject({
      ...{ kind: 'full', state: 'succeeded', trigger: 'first_token' },
      ...{ seen: 2_300, added: 2_300, changed: 0, removed: 0 },
    })
    expect(paths(world).filter((path) => path === '/server/devices')).toHaveLength(3)
    const server = await world.ade.parts.servers.get(id)
    expect(server).toMatchObject({ org_name: 'Example AG', fetch_limit: 1000, full_sync_mark: null })
    expect((await world.device('SN00007')).state).toBe('not_contacted')
    expect(world.fake.violations).toEqual([])
    expect(world.first.emitted.map(({ type }) => type)).toEqual([
      ...['ade_server.created', 'ade_server.token_stored', 'ade_sync.started', 'ade_sync.succeeded'],
    ])
  })

  test('within seven days a sync brings changes alone, after them everything', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A', 'B'])
    world.clock.advance(DAY)
    world.fake.portal.addDevices(['C'], 'Zurich')
    world.fake.portal.moveDevice('A', null)
    expect(await world.sync(id)).toMatchObject({
      kind: 'incremental',
      added: 1,
      removed: 1,
      state: 'succeeded',
    })
    expect(await stored(world)).toEqual([
      ['A', 'removed'],
      ['B', 'here'],
      ['C', 'here'],
    ])
    world.clock.advance(5 * DAY)
    expect(await world.sync(id)).toMatchObject({ kind: 'incremental', seen: 0 })
    world.clock.advance(DAY)
    world.fake.portal.moveDevice('A', 'Zurich')
    expect(await world.sync(id)).toMatchObject({ kind: 'full', seen: 3, added: 1, removed: 0 })
    expect(world.fake.violations).toEqual([])
  })

  test('while one runs another is refused, in every process, and can_start is false', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    const { call } = await world.api()
    world.clock.advance(HOUR)
    world.fake.script('/devices/sync', 'hold')
    const started = await call('POST', `/ade-servers/${id}/syncs`)
    expect(started.status).toBe(202)
    expect(started.body).toMatchObject({ kind: 'incremental', state: 'running' })
    expect(Date.parse(started.body.ends_by)).toBe(world.clock.now().getTime() + 10 * MINUTE)

    const refused = await call('POST', `/ade-servers/${id}/syncs`)
    expect([refused.status, refused.body.code]).toEqual([409, 'sync_running'])
    await expect(world.process().ade.parts.syncs.startByHand(id, world.by)).rejects.toMatchObject({
      code: 'sync_running',
    })
    const { body } = await call('GET', `/ade-servers/${id}`)
    expect(body.sync).toMatchObject({ can_start: false, running: true, run_ends_by: started.body.ends_by })
    await expect.poll(() => world.fake.held()).toBe(1)
    world.fake.release()
    await world.first.idle()
    const after = await call('GET', `/ade-servers/${id}`)
    expect(after.body.sync).toMatchObject({ can_start: true, running: false, last: { state: 'succeeded' } })
    const { body: one } = await call('GET', `/ade-servers/${id}/syncs/${started.body.id}`)
    expect(one).toMatchObject({ id: started.body.id, state: 'succeeded' })
    const { body: list } = await call('GET', `/ade-servers/${id}/syncs?limit=1`)
    expect(list.items.map((run: { id: string }) => run.id)).toEqual([started.body.id])
    expect(list.next_cursor).not.toBeNull()
  })

  test('one that does not end in ten minutes is timed out, and the next goes on from its last page', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich')
    world.clock.advance(8 * DAY)
    world.fake.portal.addDevices(serials(1_500), 'Zurich')
    world.fake.script('/server/devices', 'right', 'hold')
    const run = await world.ade.parts.syncs.startByHand(id, world.by)
    await expect.poll(() => world.fake.held()).toBe(1)
    world.clock.advance(10 * MINUTE)
    await world.first.idle()
    const ended = await database()
      .kysely.selectFrom('ade_syncs')
      .selectAll()
      .where('id', '=', run.id)
      .execute()
    expect(ended).toMatchObject([{ state: 'timed_out', seen: 1_000, kind: 'full' }])
    const before = paths(world).length
    expect(await world.sync(id)).toMatchObject({ kind: 'full', state: 'succeeded', seen: 500, removed: 0 })
    expect(
      paths(world)
        .slice(before)
        .filter((path) => path === '/server/devices'),
    ).toHaveLength(1)
    expect(await stored(world)).toHaveLength(1_500)
  })

  test('the run of a process that died ends at its deadline, or goes on in another before', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    world.clock.advance(HOUR)
    // A process that died right after it had started the sync.
    const dead = {
      id: 'dead',
      ade_server_id: id,
      kind: 'incremental',
      state: 'running',
      trigger: 'operator',
    } as const
    const now = world.clock.now()
    const row = (endsBy: number, worker: number) => ({
      ...{ ...dead, started_at: now, ends_by: new Date(now.getTime() + endsBy), worker: 'gone' },
      ...{ worker_until: new Date(now.getTime() + worker), finished_at: null, error: null, error_code: null },
    })
    await database()
      .kysely.insertInto('ade_syncs')
      .values(row(10 * MINUTE, 20_000))
      .execute()
    await world.ade.runSyncs()
    await world.first.idle()
    const state = async () =>
      (await database().kysely.selectFrom('ade_syncs').select('state').where('id', '=', 'dead').execute())[0]
        ?.state
    expect(await state()).toBe('running')
    world.clock.advance(21_000)
    await world.ade.runSyncs()
    await world.first.idle()
    expect(await state()).toBe('succeeded')

    await database().kysely.deleteFrom('ade_syncs').execute()
    await database()
      .kysely.insertInto('ade_syncs')
      .values(row(10 * MINUTE, 20 * MINUTE))
      .execute()
    world.clock.advance(10 * MINUTE)
    await world.ade.runSyncs()
    expect(await state()).toBe('timed_out')
    expect(world.first.emitted.at(-1)).toMatchObject({ type: 'ade_sync.timed_out', reason: 'timed_out' })
  })

  test('every six hours a sync starts by itself, once for all processes', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    const other = world.process()
    world.clock.advance(6 * HOUR - 1_000)
    await Promise.all([world.ade.runSyncs(), other.ade.runSyncs()])
    const count = async () => (await database().kysely.selectFrom('ade_syncs').selectAll().execute()).length
    expect(await count()).toBe(1)
    world.clock.advance(1_000)
    await Promise.all([world.ade.runSyncs(), other.ade.runSyncs()])
    await Promise.all([world.first.idle(), other.idle()])
    expect(await count()).toBe(2)
    expect((await world.ade.parts.servers.get(id)).next_scheduled_sync_at?.getTime()).toBeGreaterThan(
      world.clock.now().getTime() + 5 * HOUR,
    )
  })

  test.each(['INVALID', 'EXPIRED'])(
    'an %s cursor makes the run a full one, whatever the seven days',
    async (word) => {
      const world = await adeWorld(database())
      const id = await world.server('Zurich', ['A', 'B'])
      world.clock.advance(HOUR)
      world.fake.portal.moveDevice('A', null)
      world.fake.script('/devices/sync', { status: 400, code: `${word}_CURSOR` })
      expect(await world.sync(id)).toMatchObject({ kind: 'full', state: 'succeeded', seen: 1, removed: 1 })
      expect((await world.ade.parts.servers.get(id)).last_full_sync_started_at).toEqual(world.clock.now())
    },
  )

  test('cursors that Apple refuses again and again fail the run', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    world.clock.advance(HOUR)
    const refusal = { status: 400, code: 'INVALID_CURSOR' }
    world.fake.script('/devices/sync', refusal)
    world.fake.script('/server/devices', refusal, refusal, refusal, refusal)
    expect(await world.sync(id)).toMatchObject({ state: 'failed', error_code: 'cursor_invalid' })
    expect(await world.sync(id)).toMatchObject({ kind: 'full', state: 'succeeded' })
  })

  test('a cursor that is exhausted in the fetch goes on with the changes', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    world.clock.advance(8 * DAY)
    world.fake.portal.addDevices(serials(1_200), 'Zurich')
    world.fake.script('/server/devices', 'right', { status: 400, code: 'EXHAUSTED_CURSOR' })
    expect(await world.sync(id)).toMatchObject({ kind: 'full', state: 'succeeded', seen: 1_201 })
    expect(paths(world)).toContain('/devices/sync')
    expect(await stored(world)).toHaveLength(1_201)
  })

  test('the same cursor for ever, or nothing but empty pages, fail the run in bounded time', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    world.clock.advance(HOUR)
    world.fake.script('/devices/sync', 'same_cursor', 'same_cursor')
    expect(await world.sync(id)).toMatchObject({ state: 'failed', error_code: 'repeated_cursor' })
    const before = world.fake.calls.length
    world.fake.script('/devices/sync', ...Array.from({ length: 100 }, () => 'empty_page' as const))
    expect(await world.sync(id)).toMatchObject({ state: 'failed', error_code: 'empty_pages' })
    expect(world.fake.calls.length - before).toBeLessThan(30)
  })

  test('doubled and reordered records: the greatest op_date wins, against what is stored too', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    for (const server of [null, 'Zurich', null]) {
      world.clock.advance(MINUTE)
      world.fake.portal.moveDevice('A', server)
    }
    world.clock.advance(MINUTE)
    world.fake.script('/devices/sync', 'reordered')
    await world.sync(id)
    expect(await stored(world)).toEqual([['A', 'removed']])
    const { cursor } = await world.ade.parts.servers.get(id)
    world.clock.advance(MINUTE)
    world.fake.portal.moveDevice('A', 'Zurich')
    world.fake.script('/devices/sync', 'doubled')
    expect(await world.sync(id)).toMatchObject({ seen: 1, added: 1 })
    // The same page once more, as after an interruption: nothing changes, also not back.
    await database().kysely.updateTable('ade_servers').set({ cursor }).execute()
    expect(await world.sync(id)).toMatchObject({ added: 0, changed: 0, removed: 0 })
    expect(await stored(world)).toEqual([['A', 'here']])
  })

  test('a serial number that moves between our servers belongs to the one it moved to last', async () => {
    const world = await adeWorld(database())
    const zurich = await world.server('Zurich', ['A', 'B'])
    const bern = await world.server('Bern')
    world.clock.advance(MINUTE)
    world.fake.portal.moveDevice('A', 'Bern')
    world.fake.portal.moveDevice('B', 'Bern')
    world.clock.advance(MINUTE)
    world.fake.portal.moveDevice('B', 'Zurich')
    // The news of Bern first, then those of Zurich, and the other way round.
    await world.sync(bern)
    await world.sync(zurich)
    await world.sync(bern)
    expect((await world.device('A')).ade_server_id).toBe(bern)
    expect((await world.device('B')).ade_server_id).toBe(zurich)
    expect(await stored(world)).toEqual([
      ['A', 'here'],
      ['B', 'here'],
    ])
  })

  test('Retry-After is heeded, within the time of the run', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    world.clock.advance(HOUR)
    world.fake.script('/devices/sync', adeTroubles.throttled(45), adeTroubles.unavailable(), 'html', 'half')
    expect(await world.sync(id, { pauses: true })).toMatchObject({ state: 'succeeded' })
    expect(world.fake.violations).toEqual([])
    world.fake.script('/devices/sync', adeTroubles.throttled(20 * 60))
    expect(await world.sync(id, { pauses: true })).toMatchObject({ state: 'failed', error_code: 'throttled' })
    // Asked for by hand before that is over: said so, without a call.
    const before = world.fake.calls.length
    expect(await world.sync(id, { pauses: true })).toMatchObject({ state: 'failed', error_code: 'throttled' })
    expect(world.fake.calls).toHaveLength(before)
    world.clock.advance(20 * MINUTE)
    expect(await world.sync(id, { pauses: true })).toMatchObject({ state: 'succeeded' })
    expect(world.fake.violations).toEqual([])
  })

  test('a service that stays down fails the run', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    world.clock.advance(HOUR)
    world.fake.answerAll('html')
    const run = await world.sync(id, { pauses: true })
    expect(run).toMatchObject({ state: 'failed', error_code: 'malformed_answer' })
    expect(run.error).toContain('GET /session')
    world.fake.answerAll(null)
    expect(await world.sync(id)).toMatchObject({ state: 'succeeded' })
  })

  test('the default policy is given to new serial numbers, and their users are judged once', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    const policyId = await world.policy('Sales')
    await world.ade.parts.servers.setDefaultPolicy(id, policyId, world.by)
    world.clock.advance(HOUR)
    world.fake.portal.addDevices(['B'], 'Zurich')
    await world.sync(id)
    expect(await world.device('A')).toMatchObject({ policy_id: null, assignment_state: null })
    expect(await world.device('B')).toMatchObject({ policy_id: policyId, assignment_state: 'pending' })
    const take = () => database().transaction((trx) => world.ade.takeUnjudged(trx, 10))
    expect(await take()).toEqual([{ serial_number: 'B', policy_set_at: world.clock.now() }])
    expect(await take()).toEqual([])
    expect(await serialNumbersWith(database().kysely, policyId)).toBe(1)
    expect(await serversGiving(database().kysely, policyId)).toEqual(['Zurich'])
  })

  test('the state of a device follows the latest of its facts', async () => {
    const world = await adeWorld(database())
    await world.server('Zurich', ['A'])
    const { ade } = world
    const at = () => world.clock.now()
    const states: string[] = []
    const steps = [
      (trx: Tx) => world.noteContacted(trx, 'A'),
      (trx: Tx) => world.noteEnrolled(trx, 'A'),
      (trx: Tx) => ade.noteUnenrolled(trx, 'A', at()),
      (trx: Tx) => world.noteContacted(trx, 'A'),
    ]
    for (const step of steps) {
      world.clock.advance(MINUTE)
      await database().transaction(async (trx) => void (await step(trx)))
      states.push((await world.device('A')).state)
    }
    await ade.parts.devices.setBlocked('A', true, world.by)
    states.push((await world.device('A')).state)
    expect(states).toEqual(['contacted', 'enrolled', 'unenrolled', 'contacted', 'blocked'])
    const { call } = await world.api()
    expect((await call('GET', '/ade-devices?state=blocked')).body.items).toMatchObject([
      { serial_number: 'A' },
    ])
    expect((await call('GET', '/ade-devices?state=enrolled')).body.items).toEqual([])
    expect((await call('POST', '/ade-devices/A/unblock')).body.state).toBe('contacted')
  })
})

import { expect, test } from 'vitest'
import type { HttpClient } from '../../../src/kernel/http-client.ts'
import { adeWorld, type AdeWorld } from '../../support/ade-world.ts'
import { changes, serials } from '../../support/ade-changes.ts'
import { describeEachEngine } from '../../support/database.ts'

// The limit is for what hangs, not for a busy machine.

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** Switches a policy on or off for Apple, also while devices have it. */
async function switchTo(world: AdeWorld, policyId: string, enabled: boolean): Promise<void> {
  const policy = await world.policies.get(policyId)
  await world.db.kysely
    .updateTable('enrollment_policies')
    .set({ ade: JSON.stringify({ ...policy.ade, enabled }), version: policy.version + 1 })
    .where('id', '=', policyId)
    .execute()
  world.ade.policyChanged()
}

async function profileOf(world: AdeWorld, serial: string) {
  const { profileUuid } = world.fake.device(serial)
  return profileUuid === undefined ? undefined : world.fake.profile(profileUuid)
}

/** A way to Apple that dies with its process at the so-manyeth call of a path, before or after Apple has it. */
function dyingHttp(fault: { path: string; when: 'before' | 'after' }) {
  const state = { armed: true }
  const wrap = (http: HttpClient): HttpClient => ({
    ...http,
    async request(request) {
      const isIt = state.armed && request.method !== 'GET' && new URL(request.url).pathname === fault.path
      if (isIt && fault.when === 'before') throw new Error('killed before the call')
      const answer = await http.request(request)
      if (isIt) throw new Error('killed after the call')
      return answer
    },
  })
  return { wrap, disarm: () => void (state.armed = false) }
}

describeEachEngine('assignment', (database) => {
  test('a policy is defined once and assigned to any number of devices, a thousand a call', async () => {
    const world = await adeWorld(database())
    const all = serials(2_500)
    await world.server('Zurich', all)
    const policyId = await world.policy('Sales', { ade: { department: 'Sales IT' } })
    expect(await world.assign(policyId, all)).toEqual({
      ...{ changed: 2_500, unchanged: 0, problems: [], will_unenroll: [] },
    })
    await world.first.reconcile()
    expect(changes(world)).toEqual([
      ...['POST /profile 1000', 'POST /profile/devices 1000', 'POST /profile/devices 500'],
    ])
    expect(await profileOf(world, 'SN002499')).toMatchObject({
      profile_name: 'Sales',
      department: 'Sales IT',
    })
    const { url } = (await profileOf(world, 'SN000000')) as { url: string }
    const key = new URL(url).pathname.replace('/enroll/ade/', '')
    expect(await world.ade.findKey(database().kysely, key)).toMatchObject({ policyId })
    expect(await world.ade.findKey(database().kysely, `${key}x`)).toBeUndefined()
    const { call } = await world.api()
    expect((await call('GET', '/ade-devices/SN000001')).body).toMatchObject({
      assignment: { state: 'assigned', retry_at: null, error: null },
      ...{ profile_current_at_apple: true, device_runs_current_profile: null, policy_id: policyId },
    })
    await world.first.reconcile()
    expect(changes(world)).toHaveLength(3)
    expect(world.fake.violations).toEqual([])
  })

  test('a policy that changes at Apple is defined anew, one that does not is left alone', async () => {
    const world = await adeWorld(database())
    await world.server('Zurich', ['A', 'B'])
    const policyId = await world.policy('Sales')
    await world.assign(policyId, ['A', 'B'])
    await world.first.reconcile()
    world.fake.activate('A')
    await database().transaction(async (trx) => {
      await world.noteContacted(trx, 'A')
      await world.noteEnrolled(trx, 'A')
    })
    await world.policies.update(policyId, { description: 'only for us' }, world.by)
    await world.first.reconcile()
    expect(changes(world)).toEqual(['POST /profile 2'])
    await world.policies.update(policyId, { ade: { department: 'Another' } }, world.by)
    await world.first.reconcile()
    expect(changes(world)).toEqual(['POST /profile 2', 'POST /profile 2'])
    expect(await profileOf(world, 'A')).toMatchObject({ department: 'Another' })
    const { call } = await world.api()
    const { body } = await call('GET', '/ade-devices/A')
    expect(body).toMatchObject({ profile_current_at_apple: true, device_runs_current_profile: false })
    expect(body.note).toContain('erased and set up again')
    expect(world.fake.violations).toEqual([])
  })

  test('what Apple says of each device is heeded', async () => {
    const world = await adeWorld(database())
    await world.server('Zurich', ['A', 'FAILS', 'WAITS', 'LEAVES'])
    const policyId = await world.policy('Sales')
    await world.assign(policyId, ['A'])
    await world.first.reconcile()
    world.fake.scriptSerial('FAILS', 'FAILED', 'FAILED')
    world.fake.scriptSerial('WAITS', 'THROTTLED')
    world.fake.throttleFor(120)
    world.fake.portal.moveDevice('LEAVES', null)
    await world.assign(policyId, ['FAILS', 'WAITS', 'LEAVES'])
    await world.first.reconcile()
    const now = world.clock.now().getTime()
    expect(await world.device('FAILS')).toMatchObject({
      ...{ assignment_state: 'failed', assignment_retry_at: new Date(now + 5 * MINUTE) },
      assignment_error: expect.stringContaining('FAILED'),
    })
    expect(await world.device('WAITS')).toMatchObject({
      ...{ assignment_state: 'throttled', assignment_retry_at: new Date(now + 2 * MINUTE) },
    })
    expect((await world.device('LEAVES')).state).toBe('removed')
    // Another policy does not shorten the pause that Apple asked for.
    const other = await world.policy('Other')
    await world.assign(other, ['WAITS'])
    await world.first.reconcile()
    expect(changes(world)).toHaveLength(2)
    world.clock.advance(2 * MINUTE)
    await world.first.reconcile()
    expect(await profileOf(world, 'WAITS')).toMatchObject({ profile_name: 'Other' })
    world.clock.advance(3 * MINUTE)
    await world.first.reconcile()
    expect(await world.device('FAILS')).toMatchObject({
      ...{ assignment_attempts: 2, assignment_retry_at: new Date(world.clock.now().getTime() + 10 * MINUTE) },
    })
    world.clock.advance(10 * MINUTE)
    await world.first.reconcile()
    expect(await world.device('FAILS')).toMatchObject({
      assignment_state: 'assigned',
      assignment_attempts: 0,
    })
    expect(world.fake.violations).toEqual([])
    const told = world.first.emitted.filter((event) => event.type === 'ade_device.assignment_failed')
    expect(told.map(({ reason, data }) => [reason, data.serial_numbers])).toEqual([
      ['failed', ['FAILS']],
      ['throttled', ['WAITS']],
      ['failed', ['FAILS']],
    ])
  })

  test.each(['none', 'what it has'] as const)(
    'a pause that Apple asked for outlives a policy that needs no call (%s)',
    async (between) => {
      const world = await adeWorld(database())
      // The other device brings that policy's work about.
      const both = ['A', 'B']
      await world.server('Zurich', both)
      const [has, wanted] = [await world.policy('Has'), await world.policy('Wanted')]
      const want = async (policyId: string) => {
        await world.assign(policyId, both)
        await world.first.reconcile()
      }
      const goBack = async () => {
        if (between === 'what it has') return want(has)
        await world.unassign(wanted, both)
        await world.first.reconcile()
      }
      if (between === 'what it has') await want(has)
      world.fake.scriptSerial('A', 'THROTTLED')
      world.fake.throttleFor(120)
      await want(wanted)
      const retryAt = new Date(world.clock.now().getTime() + 2 * MINUTE)
      await goBack()
      await want(wanted)
      expect(await world.device('A')).toMatchObject({
        ...{ assignment_state: 'throttled', assignment_retry_at: retryAt },
      })
      expect(world.fake.violations).toEqual([])

      await goBack()
      const before = changes(world).length
      world.clock.advance(2 * MINUTE)
      await world.first.reconcile()
      expect(await world.device('A')).toMatchObject({
        ...{ assignment_state: between === 'none' ? null : 'assigned', assignment_retry_at: null },
      })
      expect(changes(world)).toHaveLength(before)
      expect(world.fake.violations).toEqual([])
    },
  )

  test('a policy is taken away, and one that is switched off defines nothing', async () => {
    const world = await adeWorld(database())
    await world.server('Zurich', ['A', 'B'])
    const policyId = await world.policy('Sales')
    await world.assign(policyId, ['A', 'B'])
    await world.first.reconcile()
    expect(await world.unassign(policyId, ['A'])).toMatchObject({ changed: 1 })
    await world.first.reconcile()
    expect(await world.device('A')).toMatchObject({ policy_id: null, assignment_state: null })
    expect(world.fake.device('A').profileUuid).toBeUndefined()
    // While devices have it, nobody can switch it off; what was switched off by whatever means counts all the same.
    await switchTo(world, policyId, false)
    await world.first.reconcile()
    expect(await world.device('B')).toMatchObject({ policy_id: policyId, assignment_state: null })
    expect(world.fake.device('B').profileUuid).toBeUndefined()
    await switchTo(world, policyId, true)
    await world.first.reconcile()
    expect(await world.device('B')).toMatchObject({ assignment_state: 'assigned' })
    expect(changes(world)).toEqual([
      ...['POST /profile 2', 'DELETE /profile/devices 1', 'DELETE /profile/devices 1'],
      'POST /profile/devices 1',
    ])
    const off = await world.policy('Off', { ade: { enabled: false } })
    await expect(world.assign(off, ['A'])).rejects.toMatchObject({ code: 'policy_not_for_ade' })
    await world.first.reconcile()
    expect(changes(world)).toHaveLength(4)
    expect(world.fake.violations).toEqual([])
  })

  test('drift made elsewhere is told and repaired', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A', 'B'])
    const policyId = await world.policy('Sales')
    await world.assign(policyId, ['A', 'B'])
    await world.first.reconcile()
    world.clock.advance(HOUR)
    await world.sync(id)
    expect(world.first.emitted.filter(({ type }) => type === 'ade_device.drifted')).toEqual([])
    world.clock.advance(HOUR)
    world.fake.portal.setProfile('A', null)
    world.clock.advance(HOUR)
    await world.sync(id)
    expect(world.first.emitted.filter(({ type }) => type === 'ade_device.drifted')).toMatchObject([
      { data: { count: 1, serial_numbers: ['A'] } },
    ])
    await world.first.reconcile()
    expect(await profileOf(world, 'A')).toMatchObject({ profile_name: 'Sales' })
    expect(changes(world)).toEqual(['POST /profile 2', 'POST /profile/devices 1'])
    expect(world.fake.violations).toEqual([])
  })

  test.each([
    ['/profile', 'before', 'policy'],
    ['/profile', 'after', 'policy'],
    ['/profile/devices', 'before', 'second'],
    ['/profile/devices', 'after', 'second'],
    ['/profile/devices', 'before', 'unassign'],
    ['/profile/devices', 'after', 'unassign'],
  ] as const)('killed at %s, %s Apple has it (%s): no call too many', async (path, when, what) => {
    const world = await adeWorld(database())
    await world.server('Zurich', ['A', 'B'])
    const policyId = await world.policy('Sales')
    if (what !== 'policy') {
      await world.assign(policyId, ['A'])
      await world.first.reconcile()
    }
    const { wrap } = dyingHttp({ path, when })
    const dying = world.process(wrap)
    if (what === 'unassign') await world.unassign(policyId, ['A'])
    else await world.assign(policyId, ['B'])
    await dying.reconcile()
    expect(await database().kysely.selectFrom('ade_calls').selectAll().execute()).toHaveLength(1)
    const before = changes(world).length
    world.clock.advance(21_000)
    await world.first.reconcile()
    const again = when === 'before' ? 1 : 0
    expect(changes(world).length - before).toBe(again)
    expect(await database().kysely.selectFrom('ade_calls').selectAll().execute()).toEqual([])
    const [serial, name] = what === 'unassign' ? (['A', undefined] as const) : (['B', 'Sales'] as const)
    expect((await profileOf(world, serial))?.['profile_name']).toBe(name)
    const settled = what === 'unassign' ? null : 'assigned'
    expect((await world.device(serial)).assignment_state).toBe(settled)
    expect(world.fake.violations).toEqual([])
  })

  test.each(['lost', 'html', 'half'] as const)(
    'an answer that is %s leaves no doubt behind',
    async (trouble) => {
      const world = await adeWorld(database())
      await world.server('Zurich', ['A', 'B'])
      const policyId = await world.policy('Sales')
      world.fake.script('/profile', trouble)
      await world.assign(policyId, ['A', 'B'])
      await world.first.reconcile()
      expect((await world.device('A')).assignment_state).toBe('pending')
      await world.first.reconcile()
      expect(changes(world)).toHaveLength(1)
      world.clock.advance(3_000)
      await world.first.reconcile()
      expect((await world.device('A')).assignment_state).toBe('assigned')
      expect(changes(world)).toHaveLength(1)
      expect(world.fake.violations).toEqual([])
    },
  )
})

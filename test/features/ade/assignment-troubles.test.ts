import { expect, test } from 'vitest'
import { adeTroubles } from '../../support/ade-troubles.ts'
import { adeWorld } from '../../support/ade-world.ts'
import { changes, serials } from '../../support/ade-changes.ts'
import { describeEachEngine } from '../../support/database.ts'

// The limit is for what hangs, not for a busy machine.

const MINUTE = 60_000
const HOUR = 60 * MINUTE

describeEachEngine('troubles of assignment', (database) => {
  test('Apple that asks to wait is not called before, whoever would call', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    const policyId = await world.policy('Sales')
    world.fake.script('/profile', adeTroubles.throttled(300))
    await world.assign(policyId, ['A'])
    await world.first.reconcile()
    const before = world.fake.calls.length
    world.clock.advance(MINUTE)
    await world.first.reconcile()
    await world.process().reconcile()
    expect(world.fake.calls).toHaveLength(before)
    expect(await world.sync(id, { pauses: true })).toMatchObject({ state: 'succeeded' })
    world.clock.advance(5 * MINUTE)
    await world.first.reconcile()
    expect((await world.device('A')).assignment_state).toBe('assigned')
    expect(world.fake.violations).toEqual([])
  })

  test('terms that are not signed stop the server with words of what to do, and a sync by hand ends that', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A'])
    const policyId = await world.policy('Sales')
    world.fake.portal.signTerms(false)
    await world.assign(policyId, ['A'])
    await world.first.reconcile()
    const { call } = await world.api()
    const { body } = await call('GET', `/ade-servers/${id}`)
    expect(body).toMatchObject({
      stopped_reason: 'terms_not_signed',
      what_to_do: expect.stringContaining('accept'),
    })
    expect(body.sync).toMatchObject({ can_start: true, next_scheduled_sync_at: null })
    const before = world.fake.calls.length
    world.clock.advance(7 * HOUR)
    await world.ade.runSyncs()
    await world.first.idle()
    await world.first.reconcile()
    expect(world.fake.calls).toHaveLength(before)
    expect(await world.sync(id)).toMatchObject({ state: 'failed', error_code: 'terms_not_signed' })
    world.fake.portal.signTerms(true)
    expect(await world.sync(id)).toMatchObject({ state: 'succeeded' })
    expect((await world.ade.parts.servers.get(id)).stopped_reason).toBeNull()
    await world.first.reconcile()
    expect((await world.device('A')).assignment_state).toBe('assigned')
    const told = world.first.emitted.map(({ type }) => type).filter((type) => /stopped|resumed/.test(type))
    expect(told).toEqual(['ade_server.stopped', 'ade_server.resumed'])
  })

  test('a profile that Apple has forgotten is defined anew; one that it refuses is told and retried later', async () => {
    const world = await adeWorld(database())
    await world.server('Zurich', ['A', 'B', 'C'])
    const policyId = await world.policy('Sales')
    await world.assign(policyId, ['A'])
    await world.first.reconcile()
    world.fake.script('/profile/devices', { status: 404, code: 'NOT_FOUND' })
    await world.assign(policyId, ['B'])
    await world.first.reconcile()
    expect((await world.device('B')).assignment_state).toBe('assigned')
    expect(changes(world).at(-1)).toBe('POST /profile 1')

    const bad = await world.policy('Bad')
    world.fake.script('/profile', { status: 400, code: 'DEPARTMENT_INVALID' })
    await world.assign(bad, ['C'])
    await world.first.reconcile()
    const { call } = await world.api()
    expect((await call('GET', '/ade-devices/C')).body.assignment).toMatchObject({
      ...{ state: 'pending', error: expect.stringContaining('DEPARTMENT_INVALID') },
      retry_at: new Date(world.clock.now().getTime() + 5 * MINUTE).toISOString(),
    })
    const count = changes(world).length
    await world.first.reconcile()
    expect(changes(world)).toHaveLength(count)
    // A policy that was put right does not wait.
    await world.policies.update(bad, { ade: { department: 'Good' } }, world.by)
    await world.first.reconcile()
    expect((await world.device('C')).assignment_state).toBe('assigned')
  })

  test('two processes at once make every call once', async () => {
    const world = await adeWorld(database())
    const all = serials(2_000)
    await world.server('Zurich', all)
    const policyId = await world.policy('Sales')
    await world.assign(policyId, all)
    const other = world.process()
    await Promise.all([world.first.reconcile(), other.reconcile()])
    world.clock.advance(1_000)
    await Promise.all([world.first.reconcile(), other.reconcile()])
    expect(changes(world)).toEqual(['POST /profile 1000', 'POST /profile/devices 1000'])
    expect(world.fake.violations).toEqual([])
  })

  test('a policy that is not for automated enrollment is given to no device, old or new', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A', 'B'])
    const sales = await world.policy('Sales')
    await world.assign(sales, ['A'])
    await world.first.reconcile()
    const off = await world.policy('Off', { ade: { enabled: false } })
    const { call } = await world.api()
    for (const body of [{ serial_numbers: ['A'] }, { all: true, ade_server_id: id }]) {
      for (const query of ['', '?dry_run=true', '?dry_run=false']) {
        const answer = await call('POST', `/enrollment-policies/${off}/assign${query}`, body)
        expect([answer.status, answer.body.code]).toEqual([422, 'policy_not_for_ade'])
        expect(answer.body.detail).toContain('"Off"')
      }
    }
    const standard = await call('PUT', `/ade-servers/${id}/default-policy`, { policy_id: off })
    expect([standard.status, standard.body.code]).toEqual([422, 'policy_not_for_ade'])
    await world.first.reconcile()
    expect(await world.device('A')).toMatchObject({ policy_id: sales, assignment_state: 'assigned' })
    expect(changes(world)).toHaveLength(1)
    expect(
      (await call('POST', `/enrollment-policies/${off}/unassign`, { serial_numbers: ['B'] })).status,
    ).toBe(202)
    expect((await call('PUT', `/ade-servers/${id}/default-policy`, { policy_id: null })).status).toBe(200)
  })

  test('a dry run says what would change, and changes and tells nothing', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A', 'B', 'C'])
    const policyId = await world.policy('Sales')
    await world.assign(policyId, ['A'])
    await world.first.reconcile()
    const { call } = await world.api()
    const before = world.first.emitted.length
    const ask = (verb: string, body: unknown) =>
      call('POST', `/enrollment-policies/${policyId}/${verb}?dry_run=true`, body)
    const some = await ask('assign', { serial_numbers: ['a', 'B', 'Z'] })
    expect([some.status, some.body]).toEqual([
      200,
      {
        ...{ changed: 1, unchanged: 1, will_unenroll: [] },
        problems: [{ serial_number: 'Z', problem: 'unknown' }],
      },
    ])
    expect((await ask('assign', { all: true, ade_server_id: id })).body).toMatchObject({
      changed: 2,
      unchanged: 1,
    })
    expect((await ask('unassign', { serial_numbers: ['A', 'B'] })).body).toMatchObject({
      changed: 1,
      unchanged: 1,
    })
    expect((await ask('assign', { serial_numbers: ['Z'] })).status).toBe(400)
    expect(world.first.emitted).toHaveLength(before)
    expect((await world.device('B')).policy_id).toBeNull()
    expect((await world.device('A')).policy_id).toBe(policyId)
    expect((await call('POST', `/enrollment-policies/${policyId}/assign?dry_run=maybe`, {})).status).toBe(400)
  })

  test('lists of serial numbers: all of a server, a CSV, and every problem at once', async () => {
    const world = await adeWorld(database())
    const id = await world.server('Zurich', ['A1', 'B2', 'C3'])
    const policyId = await world.policy('Sales')
    const { call } = await world.api()
    const csv = '\uFEFFSerial Number;Model\r\n"a1";"x, y"\r\n\r\nB2,phone\r\nNOPE\r\nnot one\r\n'
    const answer = await call('POST', `/enrollment-policies/${policyId}/assign`, csv, {
      'content-type': 'text/csv',
    })
    expect([answer.status, answer.body]).toEqual([
      202,
      {
        ...{ changed: 2, unchanged: 0 },
        problems: [
          { serial_number: 'NOPE', line: 5, problem: 'unknown' },
          { serial_number: 'not one', line: 6, problem: 'not_a_serial_number' },
        ],
        will_unenroll: [],
      },
    ])
    const all = await call('POST', `/enrollment-policies/${policyId}/assign`, {
      all: true,
      ade_server_id: id,
    })
    expect(all.body).toEqual({ changed: 1, unchanged: 2, problems: [], will_unenroll: [] })
    const none = await call('POST', `/enrollment-policies/${policyId}/assign`, { serial_numbers: ['X', 'Y'] })
    expect([none.status, none.body.code]).toEqual([400, 'invalid_request'])
    expect(JSON.stringify(none.body)).toContain('Y: unknown')
    expect((await call('POST', '/enrollment-policies/none/assign', { serial_numbers: ['A1'] })).status).toBe(
      404,
    )
    expect((await call('POST', `/enrollment-policies/${policyId}/assign`, { all: true })).status).toBe(400)
    const off = await call('POST', `/enrollment-policies/${policyId}/unassign`, {
      serial_numbers: ['A1', 'ZZ'],
    })
    expect(off.body).toMatchObject({ changed: 1, problems: [{ serial_number: 'ZZ', problem: 'unknown' }] })
    expect((await call('GET', `/ade-devices?policy_id=${policyId}`)).body.items).toHaveLength(2)
  })

  test('of processes with different public URLs one defines policies, the other says so; it goes on when that one stops', async () => {
    const world = await adeWorld(database())
    await world.server('Zurich', ['A', 'B'])
    const other = world.process(undefined, 'https://other.example.com')
    const policyId = await world.policy('Sales')
    await world.assign(policyId, ['A'])
    for (let round = 0; round < 8; round += 1) {
      await world.first.reconcile()
      await other.reconcile()
      if (round === 3) await world.assign(policyId, ['B'])
      world.clock.advance(15_000)
    }
    expect(changes(world)).toEqual(['POST /profile 1', 'POST /profile/devices 1'])
    const urlOf = (serial: string) => world.fake.profile(world.fake.device(serial).profileUuid ?? '')?.['url']
    expect(urlOf('B')).toMatch(/^https:\/\/mdm\.example\.com\/enroll\/ade\//)
    const told = other.logged().filter(({ event }) => event === 'ade.public_url_differs')
    expect(told).toMatchObject([
      {
        level: 'error',
        public_url: 'https://other.example.com',
        other_public_url: 'https://mdm.example.com',
      },
    ])
    expect(world.first.logged().filter(({ event }) => event === 'ade.public_url_differs')).toEqual([])
    await world.first.ade.close()
    await other.reconcile()
    world.clock.advance(MINUTE)
    await other.reconcile()
    expect(urlOf('A')).toMatch(/^https:\/\/other\.example\.com\//)
    expect(changes(world)).toHaveLength(3)
    expect(world.fake.violations).toEqual([])
  })

  test('a process that was killed is waited for no longer than it is believed to live', async () => {
    const world = await adeWorld(database())
    await world.server('Zurich', ['A'])
    const policyId = await world.policy('Sales')
    await world.assign(policyId, ['A'])
    // What it would have done by itself after a moment.
    world.clock.advance(1_000)
    await world.first.reconcile()
    const next = world.process(undefined, 'https://new.example.com')
    await next.reconcile()
    expect(changes(world)).toHaveLength(1)
    world.clock.advance(MINUTE)
    await next.reconcile()
    expect(changes(world)).toEqual(['POST /profile 1', 'POST /profile 1'])
  })

  test('release asks for the serial number and cannot be taken back', async () => {
    const world = await adeWorld(database())
    await world.server('Zurich', ['A'])
    const { call } = await world.api()
    const refused = await call('POST', '/ade-devices/A/release', { confirm: 'B' })
    expect([refused.status, refused.body.code]).toEqual([400, 'invalid_request'])
    expect(world.fake.counts()['POST /devices/disown']).toBeUndefined()
    const released = await call('POST', '/ade-devices/A/release', { confirm: 'A' })
    expect([released.status, released.body.state]).toEqual([200, 'released'])
    expect((await call('POST', '/ade-devices/A/release', { confirm: 'A' })).status).toBe(409)
    expect((await call('POST', '/ade-devices/none/release', { confirm: 'none' })).status).toBe(404)
    expect(() => world.fake.device('A')).toThrow('no device')
  })
})

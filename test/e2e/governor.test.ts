import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { newAppleUuid } from '../../src/kernel/ids.ts'
import { buildCommand } from '../../src/protocol/mdm/index.ts'
import type { Device } from '../../src/simulator/index.ts'
import { ADMIN_TOKEN, startTestApp, type TestApp } from '../support/app.ts'
import { describeEachEngine } from '../support/database.ts'
import { addToken } from '../support/tokens.ts'

const MINUTE = 60_000
const OTHER = 'another-admin-token-of-these-tests-0123456789'

describeEachEngine('the governor', (database) => {
  let world: TestApp
  const devices: Device[] = []
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
    await addToken(database(), world.clock, { name: 'another person', secret: OTHER })
    for (let count = 0; count < 4; count++) devices.push(await world.enrolled())
  })
  afterAll(() => world.close())
  beforeEach(async () => {
    await database().kysely.deleteFrom('governor_uses').execute()
    await database().kysely.updateTable('governor').set({ settings: '{}', stopped: null }).execute()
    await database().kysely.deleteFrom('pending_deliveries').execute()
  })

  async function as(secret: string, method: string, path: string, body?: unknown) {
    const response = await fetch(`${world.url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${secret}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? null : JSON.parse(text) }
  }

  const id = (at: number) => devices[at]!.facts.udid
  const limit = (act: string, perToken: number | null, perHour: number | null = null) =>
    world.api('PUT', '/governor', {
      acts: { [act]: { per_token_per_hour: perToken, per_hour: perHour } },
    })
  /** What the first explanation of something says. */
  const whyOf = async (what: string) => (await world.api('GET', `/explain?q=${what}`)).body.matches[0]
  const lock = (at = 0, secret = ADMIN_TOKEN) => as(secret, 'POST', `/devices/${id(at)}/lock`, {})
  /** Time passes until it is so: two transactions that met may need a second of the database's own. */
  async function until(isSo: () => Promise<boolean>): Promise<void> {
    while (!(await isSo())) await world.pass(500)
  }
  /** How many deliveries of commands that destroy something are pending. */
  const pending = async () => {
    const rows = await database()
      .kysely.selectFrom('pending_deliveries')
      .innerJoin('commands', 'uuid', 'command_uuid')
      .select('uuid')
      .where('governed', 'is not', null)
      .execute()
    return rows.length
  }
  const eventsOf = async (type: string) =>
    (await world.api('GET', `/events?type=${type}&limit=1000`)).body.items
  const nanomdm = (path: string, body: Buffer) =>
    fetch(`${world.url}/v1/${path}`, {
      method: 'PUT',
      headers: { authorization: `Basic ${Buffer.from(`nanomdm:${ADMIN_TOKEN}`).toString('base64')}` },
      body: new Uint8Array(body),
    })

  test('what fits is done at once; what does not waits for another person, and is done when that one says so', async () => {
    await limit('lock', 1)
    const first = await lock()
    expect([first.status, first.body.undo_until]).toEqual([202, null])
    expect(first.body.command_uuid).toEqual(expect.any(String))
    const { status, body } = await lock(1)
    expect(status).toBe(202)
    expect(body).toEqual({
      approval: expect.objectContaining({
        ...{ act: 'lock', state: 'waiting', device_ids: [id(1)], device_count: 1, role: 'operator' },
        ...{ requested_by: expect.objectContaining({ kind: 'api_token' }), note: null, undo_until: null },
      }),
    })
    expect(await pending()).toBe(1)
    expect((await whyOf(id(1))).reason).toBe('approval_waiting')
    const address = `/approvals/${body.approval.id}`
    expect(await as(ADMIN_TOKEN, 'POST', `${address}/approve`)).toMatchObject({
      status: 403,
      body: { code: 'own_act' },
    })
    const approved = await as(OTHER, 'POST', `${address}/approve`)
    expect(approved).toMatchObject({ status: 200, body: { state: 'approved', skipped_device_ids: [] } })
    expect(await pending()).toBe(2)
    expect(await as(OTHER, 'POST', `${address}/approve`)).toMatchObject({ status: 409 })
    const before = devices[1]!.results().length
    await devices[1]!.poll()
    expect(
      devices[1]!
        .results()
        .slice(before)
        .map(({ requestType }) => requestType),
    ).toEqual(['DeviceLock'])
    // What was approved is not counted; others still have room.
    expect((await lock(2, OTHER)).body.command_uuid).toEqual(expect.any(String))
    await until(async () => (await eventsOf('approval.requested')).length > 0)
    expect((await eventsOf('approval.requested')).at(-1)).toMatchObject({
      enrollment_id: id(1),
      data: { act: 'lock', devices: 1, device_ids: [id(1)], asked_by: { kind: 'api_token' } },
    })
  })

  test('neither does a token approve that the asker made, nor one of the same maker', async () => {
    const made = await world.api('POST', '/api-tokens', { name: 'mine', role: 'admin' })
    const sister = await world.api('POST', '/api-tokens', { name: 'another of mine', role: 'operator' })
    await limit('lock', 0)
    for (const [asker, decider] of [
      [ADMIN_TOKEN, made.body.secret],
      [made.body.secret, ADMIN_TOKEN],
      [made.body.secret, sister.body.secret],
    ]) {
      const { body } = await lock(0, asker)
      for (const decision of ['approve', 'reject'])
        expect(await as(decider, 'POST', `/approvals/${body.approval.id}/${decision}`)).toMatchObject({
          status: 403,
          body: { code: 'own_act' },
        })
      expect((await as(asker, 'POST', `/approvals/${body.approval.id}/cancel`)).body.state).toBe('cancelled')
    }
    const rejected = (await lock()).body.approval
    expect((await as(OTHER, 'POST', `/approvals/${rejected.id}/reject`)).body.state).toBe('rejected')
    expect(await pending()).toBe(0)
  })

  test('where nobody else could approve, the answer says so', async () => {
    await limit('lock', 0)
    expect((await lock()).body.approval.note).toBeNull()
    expect((await lock(0, OTHER)).body.approval.note).toBeNull()
    await database()
      .kysely.updateTable('api_tokens')
      .set({ role: 'viewer' })
      .where('name', '=', 'another person')
      .execute()
    expect((await lock()).body.approval.note).toContain('Nobody else')
    await database()
      .kysely.updateTable('api_tokens')
      .set({ role: 'admin' })
      .where('name', '=', 'another person')
      .execute()
  })

  test('a command for several devices waits as a whole, and tried dry it says so and counts nothing', async () => {
    await limit('erase', 2)
    const wanted = (count: number) => ({
      request_type: 'EraseDevice',
      device_ids: devices.slice(0, count).map(({ facts }) => facts.udid),
    })
    const dry = await world.api('POST', '/commands', { ...wanted(3), dry_run: true })
    expect(dry.body.governed).toEqual({ act: 'erase', devices: 3, fits: false })
    const dryTwo = await world.api('POST', '/commands', { ...wanted(2), dry_run: true })
    expect(dryTwo.body.governed).toEqual({ act: 'erase', devices: 2, fits: true })
    const whole = await world.api('POST', '/commands', wanted(3))
    expect([whole.status, whole.body.approval.device_count, await pending()]).toEqual([202, 3, 0])
    expect((await world.api('POST', '/commands', wanted(2))).body.uuid).toEqual(expect.any(String))
    expect((await world.api('POST', '/commands', wanted(1))).body.approval.device_count).toBe(1)
    const query = { request_type: 'DeviceInformation', command: { Queries: ['OSVersion'] }, dry_run: true }
    expect((await world.api('POST', '/commands', { ...wanted(3), ...query })).body.governed).toBeNull()
  })

  test('the removal of our own profile is an unenrolment, whatever it is called and whoever sends it', async () => {
    await limit('unenroll', 1)
    const first = await world.api('POST', `/devices/${id(0)}/unenroll`)
    expect(first.body.command_uuid).toEqual(expect.any(String))
    const { identifier } = await database()
      .kysely.selectFrom('instance')
      .select('id as identifier')
      .executeTakeFirstOrThrow()
    const ours = devices[1]!.view().profiles.find((profile) => JSON.stringify(profile).includes(identifier))
    const asked = await world.api('POST', '/commands', {
      ...{ request_type: 'RemoveProfile', device_ids: [id(1)] },
      command: { Identifier: (ours as { identifier: string }).identifier },
    })
    expect(asked.body.approval?.act).toBe('unenroll')
    const other = await world.api('POST', '/commands', {
      ...{ request_type: 'RemoveProfile', device_ids: [id(1)], command: { Identifier: 'net.example.other' } },
    })
    expect(other.body.uuid).toEqual(expect.any(String))
    const forgotten = await world.api('DELETE', `/devices/${id(2)}?force=true`)
    expect([forgotten.status, forgotten.body.approval.act]).toEqual([202, 'unenroll'])
    expect((await world.api('GET', `/devices/${id(2)}`)).body.state).toBe('enrolled')
  })

  test('through the NanoMDM API what does not fit is refused for each id, and told', async () => {
    await limit('lock', 1)
    const uuid = newAppleUuid()
    const raw = () => buildCommand(newAppleUuid(), 'DeviceLock', {})
    expect((await nanomdm(`enqueue/${id(0)}?nopush=1`, buildCommand(uuid, 'DeviceLock', {}))).status).toBe(
      200,
    )
    const refused = await nanomdm(`enqueue/${id(0)},${id(1)}?nopush=1`, raw())
    const answer = (await refused.json()) as { status: Record<string, { command_error: string }> }
    expect([refused.status, Object.keys(answer.status).length]).toEqual([500, 2])
    expect(answer.status[id(0)]!.command_error).toContain('limit')
    expect(await pending()).toBe(1)
    await until(async () => (await eventsOf('governor.refused')).length > 0)
    expect((await eventsOf('governor.refused')).at(-1)).toMatchObject({
      ...{ reason: 'governor_limit', via: 'nanomdm', data: { act: 'lock', devices: 2 } },
    })
    await nanomdm(`enqueue/${id(3)}?nopush=1`, raw())
    await until(async () => (await whyOf(id(3))).sentence.includes('beyond the limit'))
  })

  test('the red button cancels what was not sent, and nothing new starts until an admin resumes', async () => {
    await limit('lock', 1)
    const [queued, waiting] = [(await lock()).body, (await lock(1)).body.approval]
    const harmless = await world.api('POST', `/devices/${id(0)}/restart`)
    expect(
      (await as(OTHER, 'POST', '/governor/stop', { reason: 'a strange wipe' })).body.stopped,
    ).toMatchObject({
      ...{ reason: 'a strange wipe', by: { name: 'another person' } },
    })
    const told = await world.api('GET', `/commands/${queued.command_uuid}`)
    expect(told.body.deliveries[0]).toMatchObject({ state: 'cancelled', reason: 'governor_stopped' })
    expect((await whyOf(queued.command_uuid)).reason).toBe('governor_stopped')
    expect(await pending()).toBe(0)
    const left = await world.api('GET', `/commands/${harmless.body.command_uuid}`)
    expect(left.body.deliveries[0].state).toBe('queued')
    expect(await lock(2)).toMatchObject({ status: 409, body: { code: 'governor_stopped' } })
    expect(await as(OTHER, 'POST', `/approvals/${waiting.id}/approve`)).toMatchObject({
      status: 409,
      body: { code: 'governor_stopped' },
    })
    expect(
      (await nanomdm(`enqueue/${id(0)}?nopush=1`, buildCommand(newAppleUuid(), 'DeviceLock', {}))).status,
    ).toBe(500)
    expect(
      (await world.api('POST', '/governor/resume', { reason: 'it was a drill' })).body.stopped,
    ).toBeNull()
    expect((await world.api('POST', '/governor/resume', { reason: 'again' })).status).toBe(409)
    expect((await as(OTHER, 'POST', `/approvals/${waiting.id}/approve`)).body.state).toBe('approved')
  })

  test('what can be taken back goes out when its time is over', async () => {
    await world.api('PUT', '/governor', { undo_minutes: 10 })
    const [taken, kept] = [(await lock()).body, (await lock(1)).body]
    expect(Date.parse(taken.undo_until)).toBe(world.clock.now().getTime() + 10 * MINUTE)
    const polled = devices[1]!.results().length
    await devices[1]!.poll()
    expect(devices[1]!.results().slice(polled)).toEqual([])
    expect((await world.api('DELETE', `/commands/${taken.command_uuid}`)).status).toBe(204)
    const forgotten = await world.api('DELETE', `/devices/${id(3)}?force=true`)
    expect(forgotten.body.approval).toMatchObject({ state: 'approved', undo_until: taken.undo_until })
    const cancelled = await world.api('POST', `/approvals/${forgotten.body.approval.id}/cancel`)
    expect([cancelled.status, cancelled.body.state]).toEqual([200, 'cancelled'])
    const gone = await world.enrolled()
    const later = await world.api('DELETE', `/devices/${gone.facts.udid}?force=true`)
    await world.pass(11 * MINUTE)
    await until(async () => (await world.api('GET', `/devices/${gone.facts.udid}`)).status === 404)
    expect((await world.api('GET', `/approvals/${later.body.approval.id}`)).body.undo_until).toBeNull()
    expect((await world.api('GET', `/devices/${id(3)}`)).body.state).toBe('enrolled')
    await devices[1]!.poll()
    expect(
      devices[1]!
        .results()
        .slice(polled)
        .map(({ requestType }) => requestType),
    ).toContain('DeviceLock')
    expect(kept.undo_until).toBe(taken.undo_until)
  })

  test('an approval is for the devices as they were; one that left is left out', async () => {
    await limit('lock', 0)
    const two = [await world.enrolled(), await world.enrolled()]
    const asked = await world.api('POST', '/commands', {
      ...{ request_type: 'DeviceLock', device_ids: two.map(({ facts }) => facts.udid) },
    })
    const alone = await as(ADMIN_TOKEN, 'POST', `/devices/${two[0]!.facts.udid}/lock`, {})
    await two[0]!.checkOut()
    await world.settle()
    expect(await as(OTHER, 'POST', `/approvals/${alone.body.approval.id}/approve`)).toMatchObject({
      status: 409,
      body: { code: 'stale' },
    })
    const approved = await as(OTHER, 'POST', `/approvals/${asked.body.approval.id}/approve`)
    expect(approved.body.skipped_device_ids).toEqual([two[0]!.facts.udid])
    expect(await pending()).toBe(1)
  })

  test('one that nobody decides ends, and one whose asker is gone', async () => {
    await limit('lock', 0)
    const token = await world.api('POST', '/api-tokens', { name: 'short', role: 'operator' })
    const [orphan, old] = [(await lock(0, token.body.secret)).body.approval, (await lock()).body.approval]
    await world.api('DELETE', `/api-tokens/${token.body.id}`)
    const state = async (of: { id: string }) => (await world.api('GET', `/approvals/${of.id}`)).body
    await until(async () => (await state(orphan)).state !== 'waiting')
    expect(await state(orphan)).toMatchObject({ state: 'cancelled', reason: 'asker_gone' })
    expect((await state(old)).state).toBe('waiting')
    await world.pass(1440 * MINUTE)
    await until(async () => (await state(old)).state !== 'waiting')
    expect((await state(old)).state).toBe('expired')
    expect((await as(OTHER, 'POST', `/approvals/${old.id}/approve`)).status).toBe(409)
    const list = await world.api('GET', '/approvals?state=expired&limit=1')
    expect(list.body.items[0].state).toBe('expired')
  })

  test('limits are changed in part, by admins, and told as loosened where they are', async () => {
    const operator = await world.api('POST', '/api-tokens', { name: 'op', role: 'operator' })
    expect((await as(operator.body.secret, 'PUT', '/governor', {})).status).toBe(403)
    expect((await as(operator.body.secret, 'POST', '/governor/resume', { reason: 'x' })).status).toBe(403)
    for (const bad of [
      { acts: { erase: { per_hour: -1 } } },
      { acts: { wipe: { per_hour: 1 } } },
      { above: 'nothing' },
      { stopped: null },
      { undo_minutes: 1.5 },
    ])
      expect((await world.api('PUT', '/governor', bad)).status).toBe(400)
    const tighter = await world.api('PUT', '/governor', { acts: { erase: { per_hour: 3 } } })
    expect(tighter.body.acts.erase).toEqual({ per_token_per_hour: 5, per_hour: 3 })
    await world.api('PUT', '/governor', { acts: { erase: { per_hour: null } }, above: 'refuse' })
    expect((await limit('erase', 0, 3)).body).toMatchObject({ above: 'refuse' })
    await until(async () =>
      (await eventsOf('governor.changed')).some(
        ({ data }: { data: { changed: object } }) => 'acts.erase.per_token_per_hour' in data.changed,
      ),
    )
    expect((await eventsOf('governor.changed')).at(-2).data.changed).toMatchObject({
      'acts.erase.per_hour': { before: 20, after: 3 },
    })
    expect((await eventsOf('governor.loosened')).at(-1).data.loosened).toEqual(['acts.erase.per_hour'])
    const refused = await world.api('POST', `/devices/${id(0)}/erase`, {})
    expect([refused.status, refused.body.code]).toEqual([409, 'governor_limit'])
  })

  test('a group that delivers to members is deleted as they lose it; one that delivers nothing at once', async () => {
    await limit('delete_group', 0)
    const made = await world.api('POST', '/groups', { name: 'has nothing', kind: 'static' })
    await world.api('POST', `/groups/${made.body.id}/members`, { device_ids: [id(0)] })
    expect((await world.api('DELETE', `/groups/${made.body.id}`)).status).toBe(204)
    const app = await world.api('POST', '/apps', { kind: 'store', itunes_store_id: 77, name: 'App' })
    const full = await world.api('POST', '/groups', { name: 'has an app', kind: 'static' })
    await world.api('POST', `/groups/${full.body.id}/members`, { device_ids: [id(0)] })
    await world.api('PUT', `/groups/${full.body.id}/contents`, { items: [{ kind: 'app', id: app.body.id }] })
    const first = await world.api('DELETE', `/groups/${full.body.id}`)
    expect([first.status, first.body.approval.act]).toEqual([202, 'delete_group'])
    await world.api('PATCH', `/groups/${full.body.id}`, { name: 'has another name' })
    expect(await as(OTHER, 'POST', `/approvals/${first.body.approval.id}/approve`)).toMatchObject({
      status: 409,
      body: { code: 'stale' },
    })
    const second = await world.api('DELETE', `/groups/${full.body.id}`)
    expect((await as(OTHER, 'POST', `/approvals/${second.body.approval.id}/approve`)).status).toBe(200)
    expect((await world.api('GET', `/groups/${full.body.id}`)).status).toBe(404)
  })

  test('however requests meet, never more are accepted than fit', async () => {
    await limit('lock', 7, 11)
    const asked = await Promise.all(
      Array.from({ length: 30 }, async (_, count) => {
        const secret = count % 2 === 0 ? ADMIN_TOKEN : OTHER
        if (count % 5 === 4)
          return (
            (
              await nanomdm(
                `enqueue/${id(count % 3)}?nopush=1`,
                buildCommand(newAppleUuid(), 'DeviceLock', {}),
              )
            ).status === 200
          )
        const { body } = await lock(count % 3, secret)
        return body.command_uuid !== undefined
      }),
    )
    expect(asked.filter(Boolean)).toHaveLength(11)
    expect(await pending()).toBe(11)
  })

  test('a command in the contents of a group counts for who put it, device by device as they join', async () => {
    await limit('lock', 1)
    const { body: group } = await world.api('POST', '/groups', { name: 'locks who joins', kind: 'static' })
    const item = { kind: 'command', request_type: 'DeviceLock', command: {} }
    await world.api('PUT', `/groups/${group.id}/contents`, { items: [item] })
    await world.pass(1_000)
    await world.api('POST', `/groups/${group.id}/members`, { device_ids: [id(0), id(1), id(2)] })
    const waiting = async () => {
      const { items } = (await world.api('GET', '/approvals?state=waiting')).body
      return items.filter(
        ({ act, device_ids: [first] }: { act: string; device_ids: string[] }) =>
          act === 'lock' && [id(0), id(1), id(2)].includes(first ?? ''),
      )
    }
    const before = (await waiting()).length
    await until(async () => (await waiting()).length === before + 2)
    expect(await pending()).toBe(1)
    await world.api('DELETE', `/groups/${group.id}`)
  })
})

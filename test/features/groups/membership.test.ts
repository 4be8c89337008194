import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import type { PublishedEvent } from '../../../src/features/events/index.ts'
import { ACT } from '../../support/act.ts'
import { describeEachEngine, openAgain } from '../../support/database.ts'
import { expectKnownData } from '../../support/told-data.ts'
import { addDevice, groupsWorld } from './world.ts'

const DAY = 86_400_000
const condition = (fact: string, op: string, value: unknown) => ({ fact, op, value })

let lastEvent = 0
function eventOf(
  type: string,
  enrollment_id: string | null,
  data: Record<string, unknown> = {},
): PublishedEvent {
  lastEvent += 1
  const nothing = {
    by: null,
    via: null,
    serial_number: null,
    user_name: null,
    reason: null,
    attempt_id: null,
  }
  return { id: lastEvent, type, at: new Date(), ...nothing, enrollment_id, data }
}

describeEachEngine('groups by rule', (database, engine) => {
  async function world() {
    const made = await groupsWorld(database())
    const { call, db, groups } = made
    const tag = randomUUID()
    return {
      ...made,
      tag,
      /** A device of a rule that names the tag of this test. */
      device: (columns: Parameters<typeof addDevice>[1] = {}) =>
        addDevice(db, { device_name: tag, ...columns }),
      async group(rule: unknown): Promise<string> {
        const { status, body } = await call('POST', '/groups', { name: `Group ${randomUUID()}`, rule })
        expect([status, body]).toEqual([201, expect.objectContaining({ kind: 'dynamic', rule })])
        return body.id as string
      },
      async members(id: string): Promise<string[]> {
        const { body } = await call('GET', `/groups/${id}/members`)
        return body.items.map((member: { id: string }) => member.id)
      },
      rowsOf: (id: string) =>
        db.kysely
          .selectFrom('group_members')
          .select(['enrollment_id', 'is_member', 'is_unknown'])
          .where('group_id', '=', id)
          .orderBy('enrollment_id')
          .execute(),
      set: (id: string, columns: Record<string, unknown>) =>
        db.kysely.updateTable('enrollments').set(columns).where('id', '=', id).execute(),
      told: (...facts: PublishedEvent[]) => groups.membership.follow(facts),
    }
  }

  test('are made, changed and deleted; the members follow at once, and all is told', async () => {
    const { call, device, group, members, tag, told, emitted, db } = await world()
    const [a, b] = [await device({ os_version: '17.0' }), await device({ os_version: '9.3' })]
    await told(eventOf('device.authenticated', a), eventOf('device.authenticated', b))
    const mine = condition('device_name', 'eq', tag)
    const id = await group({ all: [mine, condition('os_version', 'ge', '17')] })
    expect(await members(id)).toEqual([a])
    expect((await call('GET', `/groups/${id}`)).body).toMatchObject({ member_count: 1, policy_id: null })
    expect(emitted.at(-1)).toMatchObject({
      type: 'group.members_changed',
      act: { by: { kind: 'api_token' }, via: 'api' },
      data: { group_id: id, because: 'rule', added: [a], removed: [], unknown: [], known: [] },
    })
    const rule = { all: [mine, condition('os_version', 'lt', '10')] }
    const patched = await call('PATCH', `/groups/${id}`, { rule }, { 'if-match': '"1"' })
    expect(patched).toMatchObject({ status: 200, headers: { etag: '"2"' }, body: { rule, member_count: 1 } })
    expect((await call('PATCH', `/groups/${id}`, { rule })).headers['etag']).toBe('"2"')
    expect(emitted.at(-1)).toMatchObject({ data: { added: [b], removed: [a] } })
    expect((await call('GET', `/devices/${b}/groups`)).body).toMatchObject({
      items: [{ id, kind: 'dynamic', added_at: expect.stringMatching(/Z$/) }],
      next_cursor: null,
    })
    expect((await call('GET', '/devices/nobody/groups')).status).toBe(404)
    expect(await call('PUT', `/groups/${id}/members`, { device_ids: [a] })).toMatchObject({
      status: 409,
      body: { detail: 'The members of this group follow from its rule; change the rule instead.' },
    })
    expect((await call('DELETE', `/groups/${id}`)).status).toBe(204)
    expect(emitted.slice(-2)).toMatchObject([
      { type: 'group.members_changed', data: { because: 'deleted', removed: [b] } },
      { type: 'group.deleted', data: { group_id: id } },
    ])
    await expectKnownData(db)
  })

  test('a preview tells who would be in it, and what is wrong with a rule', async () => {
    const { call, device, tag, told } = await world()
    const ids = [await device({ supervised: true }), await device({ supervised: false }), await device()]
    await told(...ids.map((id) => eventOf('device.authenticated', id)))
    const mine = condition('device_name', 'eq', tag)
    const of = async (...rules: unknown[]) =>
      (await call('POST', '/groups/preview', { rule: { all: [mine, ...rules] } })).body
    expect(await of()).toEqual({ count: 3, device_ids: ids })
    expect(await of(condition('supervised', 'eq', true))).toEqual({ count: 1, device_ids: [ids[0]] })
    expect(await of({ not: condition('supervised', 'eq', true) })).toEqual({ count: 1, device_ids: [ids[1]] })
    expect(await of(condition('os_version', 'lt', '1'), condition('os_version', 'gt', '2'))).toEqual({
      count: 0,
      device_ids: [],
    })
    expect(await of(condition('last_seen_at', 'exists', false))).toMatchObject({ count: 3 })
    const unknown = randomUUID()
    const rule = { any: [condition('colour', 'eq', 'x'), condition('way', 'eq', 'x')] }
    expect(await call('POST', '/groups/preview', { rule })).toMatchObject({
      status: 422,
      body: {
        code: 'rule_invalid',
        errors: [{ pointer: '/rule/any/0/fact' }, { pointer: '/rule/any/1/value' }],
      },
    })
    for (const fact of ['group_id', 'policy_id', 'ade_server_id'])
      expect(
        await call('POST', '/groups', { name: unknown, rule: condition(fact, 'in', [unknown]) }),
      ).toMatchObject({
        status: 422,
        body: { errors: [{ pointer: '/rule/value/0', detail: expect.stringMatching(/^There is no /) }] },
      })
    for (const [body, status] of [
      [{}, 400],
      [{ rule: null }, 422],
      [{ rule: {}, more: 1 }, 400],
    ] as const)
      expect((await call('POST', '/groups/preview', body)).status).toBe(status)
    const deep = `{"rule":${'{"not":'.repeat(10_000)}1${'}'.repeat(10_000)}}`
    const type = { 'content-type': 'application/json' }
    expect(await call('POST', '/groups/preview', deep, type)).toMatchObject({
      status: 400,
      body: { code: 'invalid_json' },
    })
    expect(await call('POST', '/groups', { name: unknown, kind: 'dynamic' })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/rule' }] },
    })
    expect((await call('POST', '/groups', { name: unknown, kind: 'static', rule: mine })).status).toBe(422)
    const made = await call('POST', '/groups', { name: unknown })
    expect((await call('PATCH', `/groups/${made.body.id}`, { rule: mine })).status).toBe(422)
  })

  test('a fact that was not told yet makes nobody a member and ends no membership', async () => {
    const { device, group, rowsOf, set, told, emitted } = await world()
    const id = await device()
    await told(eventOf('device.authenticated', id))
    const named = await group({
      all: [condition('serial_number', 'eq', `sn-${id}`), condition('supervised', 'eq', true)],
    })
    expect(await rowsOf(named)).toEqual([{ enrollment_id: id, is_member: false, is_unknown: true }])
    expect(emitted.at(-1)).toMatchObject({ data: { because: 'rule', unknown: [id], added: [] } })
    await set(id, { supervised: true })
    await told(eventOf('device.authenticated', id))
    expect(await rowsOf(named)).toEqual([{ enrollment_id: id, is_member: true, is_unknown: false }])
    await set(id, { supervised: null })
    await told(eventOf('device.authenticated', id))
    expect(await rowsOf(named)).toEqual([{ enrollment_id: id, is_member: true, is_unknown: true }])
    await set(id, { supervised: true })
    await told(eventOf('device.authenticated', id))
    expect(emitted.at(-1)).toMatchObject({ data: { known: [id], added: [], removed: [] } })
    await set(id, { supervised: false })
    await told(eventOf('device.authenticated', id))
    expect(await rowsOf(named)).toEqual([])
    expect(emitted.at(-1)).toMatchObject({ data: { removed: [id] } })
  })

  test('a device that has enrolled is told as grouped once, and is in no group when that ends', async () => {
    const { db, device, group, groups, members, set, told, emitted, tag } = await world()
    const [id, other] = [await device(), await device()]
    const byRule = await group(condition('device_name', 'eq', tag))
    const at = new Date('2026-03-01T12:00:00Z')
    await set(id, { enrolled_at: at, token_update_tally: 1 })
    const enrolled = eventOf('device.enrolled', id)
    await told(enrolled)
    await told(enrolled, eventOf('device.authenticated', other))
    const grouped = emitted.filter(({ type }) => type === 'device.grouped')
    expect(grouped).toMatchObject([
      { enrollment_id: id, data: { enrolled_at: at.toISOString(), group_ids: [byRule] } },
    ])
    await told(eventOf('device.enrolled', id))
    expect(emitted.filter(({ type }) => type === 'device.grouped')).toHaveLength(2)
    expect(await members(byRule)).toEqual([id, other])
    await db.transaction((trx) => groups.removeDevice(trx, id, ACT))
    expect(emitted.at(-1)).toMatchObject({ data: { because: 'unenrolled', removed: [id] } })
    await set(other, { unenrolled_at: new Date() })
    await told(eventOf('device.unenrolled', other))
    expect(await members(byRule)).toEqual([])
    expect(
      await db.kysely.selectFrom('device_facts').where('enrollment_id', 'in', [other]).selectAll().execute(),
    ).toEqual([])
    await expectKnownData(db)
  })

  test('names of people and policies, and static groups, are followed', async () => {
    const { call, db, device, group, groups, members, told } = await world()
    const now = new Date()
    const [userId, policyId] = [randomUUID(), randomUUID()]
    const user = { id: userId, user_name: userId, user_name_key: userId, created_at: now, updated_at: now }
    await db.kysely.insertInto('users').values(user).execute()
    await db.kysely
      .insertInto('enrollment_policies')
      .values({
        id: policyId,
        name: policyId,
        user_affinity: 'none',
        ade: '{}',
        created_at: now,
        updated_at: now,
      })
      .execute()
    const id = await device({ user_id: userId, policy_id: policyId })
    await told(eventOf('device.authenticated', id))
    const byUser = await group(condition('user_name', 'eq', 'ÄNNE'))
    const byPolicy = await group(condition('policy_name', 'starts_with', `${policyId} new`))
    const nobody = await group({
      all: [condition('user_name', 'ne', userId), condition('udid', 'exists', false)],
    })
    await db.kysely
      .updateTable('users')
      .set({ user_name: 'Änne', user_name_key: 'änne' })
      .where('id', '=', userId)
      .execute()
    await db.kysely
      .updateTable('enrollment_policies')
      .set({ name: `${policyId} new` })
      .where('id', '=', policyId)
      .execute()
    await told(
      eventOf('user.updated', null, { user_id: userId }),
      eventOf('policy.updated', null, { policy_id: policyId }),
    )
    await groups.membership.run()
    expect([await members(byUser), await members(byPolicy), await members(nobody)]).toEqual([[id], [id], []])
    await db.kysely.deleteFrom('users').where('id', '=', userId).execute()
    await told(eventOf('user.deleted', null, { user_id: userId }))
    await groups.membership.run()
    expect(await members(byUser)).toEqual([])

    const { body: fixed } = await call('POST', '/groups', { name: `Group ${randomUUID()}` })
    const within = await group(condition('group_id', 'eq', fixed.id))
    expect(await members(within)).toEqual([])
    await call('POST', `/groups/${fixed.id}/members`, { device_ids: [id] })
    await groups.membership.run()
    expect(await members(within)).toEqual([id])
    const { body: named } = await call('GET', `/groups/${within}`)
    expect(await call('DELETE', `/groups/${fixed.id}`)).toMatchObject({
      status: 409,
      body: { code: 'in_use', used_by: [{ kind: 'group', id: within, name: named.name }] },
    })
    await call('DELETE', `/groups/${fixed.id}/members/${id}`)
    await groups.membership.run()
    expect(await members(within)).toEqual([])
    await call('DELETE', `/groups/${within}`)
    expect((await call('DELETE', `/groups/${fixed.id}`)).status).toBe(204)
  })

  test('relative times are followed as time passes, and devices that come back', async () => {
    const { clock, db, device, group, groups, members, set, told, tag, emitted } = await world()
    const now = clock.now().getTime()
    const mine = condition('device_name', 'eq', tag)
    const [old, young] = [await device(), await device()]
    await set(old, { enrolled_at: new Date(now - 6 * DAY), last_seen_at: new Date(now - 3 * DAY) })
    await set(young, { enrolled_at: new Date(now - DAY), last_seen_at: new Date(now) })
    await told(eventOf('device.authenticated', old), eventOf('device.authenticated', young))
    const settled = await group({ all: [mine, condition('enrolled_at', 'le', '-P7D')] })
    const silent = await group({ all: [mine, condition('last_seen_at', 'lt', '-P4D')] })
    const after = async (ms: number) => {
      clock.advance(ms)
      await groups.membership.run()
      return [await members(settled), await members(silent)]
    }
    expect(await after(0)).toEqual([[], []])
    expect(await after(DAY)).toEqual([[old], []])
    expect(await after(1)).toEqual([[old], [old]])
    expect(emitted.at(-1)).toMatchObject({ data: { group_id: silent, because: 'time', added: [old] } })
    expect(await after(6 * DAY)).toEqual([
      [old, young],
      [old, young],
    ])
    // One of them speaks again.
    const { createDevices } = await import('../../../src/features/devices/index.ts')
    const seen = createDevices({ db, clock, reader: { readList: () => Promise.reject(new Error('none')) } })
    seen.seen(young)
    await seen.flush()
    expect(await after(0)).toEqual([[old, young], [old]])
    expect(await after(4 * DAY)).toEqual([[old, young], [old]])
    expect(await after(1)).toEqual([
      [old, young],
      [old, young],
    ])
    clock.advance(-20 * DAY)
    await groups.membership.run()
    expect([await members(settled), await members(silent)]).toEqual([[], []])
  })

  // Another process cannot open the embedded database.
  const forMany = engine === 'postgres' ? ['two processes at once end in what both brought'] : []
  test.each(forMany)('%s', async () => {
    const { call, db, device, group, members, set, told, tag } = await world()
    const other = await groupsWorld(await openAgain(database()))
    const ids = await Promise.all(Array.from({ length: 40 }, () => device({ os_version: '17' })))
    const events = ids.map((id) => eventOf('device.authenticated', id))
    const mine = condition('device_name', 'eq', tag)
    const id = await group({ all: [mine, condition('os_version', 'eq', '1')] })
    for (let round = 0; round < 5; round += 1) {
      const version = String(20 + round)
      await Promise.all([
        told(...events),
        other.groups.membership.follow(events.toReversed()),
        (async () => {
          for (const each of ids) await set(each, { os_version: version })
          await told(...events)
        })(),
        call('PATCH', `/groups/${id}`, { rule: { all: [mine, condition('os_version', 'eq', version)] } }),
      ])
      await other.groups.membership.run()
      expect(await members(id)).toEqual(ids.toSorted())
    }
    await other.db.close()
    await expectKnownData(db)
  })
})

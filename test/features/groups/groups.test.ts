import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { describeEachEngine } from '../../support/database.ts'
import { addDevice, groupsWorld } from './world.ts'
import { ACT } from '../../support/act.ts'

describeEachEngine('groups', (database) => {
  const world = () => groupsWorld(database())
  const newName = () => `Group ${randomUUID()}`

  test('a static group is made, found, renamed and deleted', async () => {
    const { call, emitted } = await world()
    const name = newName()
    const made = await call('POST', '/groups', { name })
    expect(made).toEqual({
      status: 201,
      headers: expect.objectContaining({ etag: '"1"', location: `/api/v1/groups/${made.body.id}` }),
      body: {
        id: expect.any(String),
        name,
        kind: 'static',
        policy_id: null,
        rule: null,
        member_count: 0,
        created_at: expect.stringMatching(/Z$/),
        updated_at: made.body.created_at,
      },
    })
    const path = `/groups/${made.body.id}`
    expect(await call('GET', path)).toMatchObject({ status: 200, body: made.body })
    const other = newName()
    const renamed = await call('PATCH', path, { name: other }, { 'if-match': '"1"' })
    expect(renamed).toMatchObject({ status: 200, headers: { etag: '"2"' }, body: { name: other } })
    expect((await call('PATCH', path, { name }, { 'if-match': '"1"' })).body.code).toBe('precondition_failed')
    expect((await call('PATCH', path, { name: other })).headers['etag']).toBe('"2"')
    expect((await call('DELETE', path, undefined, { 'if-match': '"1"' })).status).toBe(412)
    expect((await call('DELETE', path)).status).toBe(204)
    expect((await call('GET', path)).status).toBe(404)
    expect((await call('DELETE', path)).status).toBe(404)
    const group_id = expect.any(String)
    expect(emitted.map(({ type, data }) => [type, data])).toEqual([
      ['group.created', { group_id, name }],
      ['group.updated', { group_id, name: other, changed: ['name'] }],
      ['group.deleted', { group_id, name: other }],
    ])
  })

  test.each([
    [{}, 'name', 'is missing'],
    [{ name: '' }, 'name', undefined],
    [{ name: ' a' }, 'name', undefined],
    [{ name: 'a\u0001' }, 'name', undefined],
    [{ name: 'x'.repeat(256) }, 'name', undefined],
    [{ name: 'a', kind: 'other' }, 'kind', 'must be one of static, dynamic'],
    [{ name: 'a', members: [] }, 'members', 'is not known here'],
    [{ name: 'EnrollmentProfile:a' }, 'name', 'begins as only the names of policy groups do'],
  ])('%j is refused by name', async (body, path, message) => {
    const { call } = await world()
    const answer = await call('POST', '/groups', body)
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_request', errors: [{ path }] } })
    if (message !== undefined) expect(answer.body.errors[0].message).toBe(message)
  })

  test('names are unique, also when many take one at once', async () => {
    const { call } = await world()
    const name = newName()
    const answers = await Promise.all(Array.from({ length: 5 }, () => call('POST', '/groups', { name })))
    expect(answers.map(({ status }) => String(status)).toSorted()).toEqual([
      '201',
      '409',
      '409',
      '409',
      '409',
    ])
    const other = await call('POST', '/groups', { name: newName() })
    expect(await call('PATCH', `/groups/${other.body.id}`, { name })).toMatchObject({
      status: 409,
      body: { errors: [{ path: 'name', message: 'is taken' }] },
    })
  })

  test('lists go by name, in pages, and by kind, name and policy', async () => {
    const { call, db, groups } = await world()
    const prefix = newName()
    for (const letter of ['c', 'a', 'b']) await call('POST', '/groups', { name: `${prefix} ${letter}` })
    const policyId = randomUUID()
    const own = await db.transaction((trx) =>
      groups.ensurePolicyGroup(trx, { id: policyId, name: prefix }, ACT),
    )
    const seen: string[] = []
    for (let cursor = ''; ;) {
      const { body } = await call('GET', `/groups?limit=2${cursor}`)
      seen.push(...body.items.map((group: { name: string }) => group.name))
      if (body.next_cursor === null) break
      cursor = `&cursor=${body.next_cursor}`
    }
    expect(seen.filter((name) => name.startsWith(prefix))).toEqual(
      ['a', 'b', 'c'].map((letter) => `${prefix} ${letter}`),
    )
    expect(new Set(seen).size).toBe(seen.length)
    expect((await call('GET', `/groups?policy_id=${policyId}`)).body.items).toMatchObject([{ id: own.id }])
    const named = await call('GET', `/groups?kind=static&name=${encodeURIComponent(`${prefix} a`)}`)
    expect(named.body.items).toMatchObject([{ name: `${prefix} a` }])
    const dynamic = await call('GET', '/groups?kind=dynamic&limit=1000')
    expect(dynamic.body.items.every((group: { kind: string }) => group.kind === 'dynamic')).toBe(true)
  })

  test('a group that policies name cannot be deleted, and the answer names them', async () => {
    const { call, db } = await world()
    const { body } = await call('POST', '/groups', { name: newName() })
    for (const name of ['Sales', 'Support'])
      await db.kysely
        .insertInto('enrollment_policies')
        .values({
          id: `${body.id} ${name}`,
          name,
          group_id: body.id,
          user_affinity: 'none',
          ade: '{}',
          created_at: new Date(),
          updated_at: new Date(),
        })
        .execute()
    expect(await call('DELETE', `/groups/${body.id}`)).toMatchObject({
      status: 409,
      body: {
        code: 'in_use',
        detail: 'The group is named by: enrollment policy "Sales", enrollment policy "Support".',
        used_by: ['Sales', 'Support'].map((name) => ({
          kind: 'enrollment_policy',
          id: `${body.id} ${name}`,
          name,
        })),
      },
    })
    await db.kysely.deleteFrom('enrollment_policies').where('group_id', '=', body.id).execute()
    expect((await call('DELETE', `/groups/${body.id}`)).status).toBe(204)
  })
})

describeEachEngine('members of static groups', (database) => {
  async function world() {
    const made = await groupsWorld(database())
    const { body } = await made.call('POST', '/groups', { name: `Group ${randomUUID()}` })
    const path = `/groups/${body.id}/members`
    const ids = async () => {
      const { body: page } = await made.call('GET', path)
      return page.items.map((member: { id: string }) => member.id)
    }
    return { ...made, groupId: body.id as string, path, ids }
  }

  test('are added, replaced and removed; only what changes counts', async () => {
    const { call, path, ids, db, groupId, emitted } = await world()
    const [a, b, c] = [await addDevice(db), await addDevice(db), await addDevice(db)]
    expect(await call('POST', path, { device_ids: [b, a, b] })).toMatchObject({
      status: 200,
      headers: { etag: '"2"' },
      body: { added: 2, removed: 0 },
    })
    expect((await call('GET', path)).body).toEqual({
      items: [a, b].map((id) => ({ id, serial_number: `SN-${id}`, device_name: `Name of ${id}` })),
      next_cursor: null,
    })
    expect((await call('GET', `/groups/${groupId}`)).body.member_count).toBe(2)
    const before = emitted.length
    expect(await call('POST', path, { device_ids: [a] })).toMatchObject({
      headers: { etag: '"2"' },
      body: { added: 0, removed: 0 },
    })
    expect(emitted.length).toBe(before)
    expect((await call('PUT', path, { device_ids: [b, c] })).body).toEqual({ added: 1, removed: 1 })
    expect(await ids()).toEqual([b, c])
    expect(emitted.slice(-2)).toMatchObject([
      { type: 'group.updated', data: { group_id: groupId, changed: ['members'], added: 1, removed: 1 } },
      {
        type: 'group.members_changed',
        act: { by: { kind: 'api_token' } },
        data: { group_id: groupId, because: 'members', added: [c], removed: [a], unknown: [], known: [] },
      },
    ])
    expect((await call('DELETE', `${path}/${b.toLowerCase()}`)).status).toBe(204)
    expect((await call('DELETE', `${path}/${b}`)).body.detail).toBe('This device is no member of the group.')
    expect((await call('PUT', path, { device_ids: [] })).body).toEqual({ added: 0, removed: 1 })
    expect(await ids()).toEqual([])
  })

  test('ids in another case are the same devices; what is no device is named, and nothing changes', async () => {
    const { call, path, ids, db } = await world()
    const device = await addDevice(db)
    const channel = await addDevice(db, { parent_id: device })
    const wanted = { device_ids: [device, 'nobody', channel] }
    for (const method of ['POST', 'PUT'] as const)
      expect(await call(method, path, wanted)).toMatchObject({
        status: 400,
        body: {
          detail: '2 of the device_ids are no devices.',
          errors: [
            { path: 'device_ids.1', message: 'is no device' },
            { path: 'device_ids.2', message: 'is no device' },
          ],
        },
      })
    expect(await ids()).toEqual([])
    expect((await call('POST', path, { device_ids: [device.toLowerCase(), device] })).body.added).toBe(1)
    expect(await ids()).toEqual([device])
  })

  test('If-Match guards them, and a page goes on where the one before ended', async () => {
    const { call, path, db } = await world()
    const devices = await Promise.all(Array.from({ length: 5 }, () => addDevice(db)))
    expect((await call('PUT', path, { device_ids: devices }, { 'if-match': '"9"' })).status).toBe(412)
    expect((await call('PUT', path, { device_ids: devices }, { 'if-match': '"1"' })).status).toBe(200)
    const first = (await call('GET', `${path}?limit=3`)).body
    const rest = (await call('GET', `${path}?limit=3&cursor=${first.next_cursor}`)).body
    const seen = [...first.items, ...rest.items].map((member: { id: string }) => member.id)
    expect(seen).toEqual(devices.toSorted())
    expect(rest.next_cursor).toBeNull()
    expect((await call('GET', `${path}?cursor=nonsense`)).body.errors).toMatchObject([{ path: 'cursor' }])
  })

  test('a device joins when it enrols and leaves all groups when it is forgotten', async () => {
    const { groups, db, groupId, ids } = await world()
    const device = await addDevice(db)
    await db.transaction((trx) => groups.addMember(trx, groupId, device, ACT))
    await db.transaction((trx) => groups.addMember(trx, groupId, device, ACT))
    expect(await ids()).toEqual([device])
    await db.transaction((trx) => groups.addMember(trx, 'a group that is gone', device, ACT))
    await db.transaction((trx) => groups.removeDevice(trx, device, ACT))
    expect(await ids()).toEqual([])
  })

  test('unknown groups and bodies of other forms are refused', async () => {
    const { call, path } = await world()
    expect((await call('GET', '/groups/unknown/members')).status).toBe(404)
    expect((await call('POST', '/groups/unknown/members', { device_ids: [] })).status).toBe(404)
    for (const body of [{}, { device_ids: 'a' }, { device_ids: [''] }, { device_ids: [], more: 1 }])
      expect((await call('POST', path, body)).status).toBe(400)
  })
})

describeEachEngine("policies' groups", (database) => {
  async function world() {
    const made = await groupsWorld(database())
    const policyId = randomUUID()
    const name = `Policy ${policyId}`
    const group = await made.db.transaction((trx) =>
      made.groups.ensurePolicyGroup(trx, { id: policyId, name }, ACT),
    )
    return { ...made, policyId, name, group }
  }

  test('are made once, renamed and deleted with the policy', async () => {
    const { db, groups, policyId, name, group, emitted } = await world()
    expect(group).toMatchObject({ name: `EnrollmentProfile:${name}`, kind: 'dynamic', policy_id: policyId })
    expect(
      (await db.transaction((trx) => groups.ensurePolicyGroup(trx, { id: policyId, name }, ACT))).id,
    ).toBe(group.id)
    await db.transaction((trx) => groups.renamePolicyGroup(trx, { id: policyId, name }, ACT))
    await db.transaction((trx) => groups.renamePolicyGroup(trx, { id: policyId, name: `${name} new` }, ACT))
    expect(await groups.get(group.id)).toMatchObject({ name: `EnrollmentProfile:${name} new`, version: 2 })
    await db.transaction((trx) => groups.deletePolicyGroup(trx, policyId, ACT))
    await expect(groups.get(group.id)).rejects.toMatchObject({ code: 'not_found' })
    expect(emitted.map(({ type }) => type)).toEqual(['group.created', 'group.updated', 'group.deleted'])
  })

  test('have the live devices of the policy as members', async () => {
    const { db, call, groups, policyId, group, regroupAll } = await world()
    const live = [await addDevice(db, { policy_id: policyId }), await addDevice(db, { policy_id: policyId })]
    await addDevice(db, { policy_id: policyId, unenrolled_at: new Date() })
    await addDevice(db, { policy_id: policyId, parent_id: live[0] ?? '' })
    await addDevice(db, { policy_id: 'another' })
    await regroupAll()
    const path = `/groups/${group.id}`
    expect((await call('GET', path)).body.member_count).toBe(2)
    const first = (await call('GET', `${path}/members?limit=1`)).body
    const second = (await call('GET', `${path}/members?limit=1&cursor=${first.next_cursor}`)).body
    expect([...first.items, ...second.items]).toEqual(
      live.map((id) => ({ id, serial_number: `SN-${id}`, device_name: `Name of ${id}` })),
    )
    expect(second.next_cursor).toBeNull()
    await db.transaction((trx) => groups.addMember(trx, group.id, live[0] ?? '', ACT))
    expect((await call('GET', path)).body.member_count).toBe(2)
  })

  test('cannot be changed directly', async () => {
    const { db, call, group } = await world()
    const device = await addDevice(db)
    const path = `/groups/${group.id}`
    for (const answer of [
      await call('PATCH', path, { name: 'Mine' }),
      await call('DELETE', path),
      await call('POST', `${path}/members`, { device_ids: [device] }),
      await call('PUT', `${path}/members`, { device_ids: [device] }),
      await call('DELETE', `${path}/members/${device}`),
    ])
      expect(answer).toMatchObject({
        status: 409,
        body: { detail: 'This group belongs to its enrollment policy; change the policy instead.' },
      })
  })
})

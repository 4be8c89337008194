import { expect, test } from 'vitest'
import { configurationDeadlineMinutes } from '../../../src/features/enrollment-policies/index.ts'
import { selfSigned } from '../../support/certificates.ts'
import { describeEachEngine } from '../../support/database.ts'
import { DEFAULT_ADE, PATH, newName, policiesWorld } from './world.ts'

describeEachEngine('enrollment policies', (database) => {
  const world = () => policiesWorld(database())

  test('only the name is needed; the rest has the defaults', async () => {
    const { call, emitted, groupCall } = await world()
    const name = newName()
    const made = await call('POST', PATH, { name })
    const { id } = made.body
    expect(made).toEqual({
      status: 201,
      headers: expect.objectContaining({ etag: '"1"', location: `/api/v1/enrollment-policies/${id}` }),
      body: {
        id: expect.any(String),
        name,
        description: '',
        user_affinity: 'none',
        sign_in_source_id: null,
        group_id: null,
        device_name_template: null,
        ade: DEFAULT_ADE,
        fixed_until_erase: ['ade.supervised', 'ade.locked'],
        created_at: expect.stringMatching(/Z$/),
        updated_at: made.body.created_at,
      },
    })
    expect(await call('GET', `${PATH}/${id}`)).toMatchObject({ status: 200, body: made.body })
    expect(emitted.map(({ type }) => type)).toEqual(['group.created', 'policy.created'])
    const own = await groupCall('GET', `/groups?policy_id=${id}`)
    expect(own.body.items).toMatchObject([{ name: `EnrollmentProfile:${name}`, kind: 'dynamic' }])
  })

  test('a whole one is kept as it was written', async () => {
    const { call, groupCall } = await world()
    const group = await groupCall('POST', '/groups', { name: newName() })
    const whole = {
      name: newName(),
      description: 'For the\nsales people',
      user_affinity: 'prompt',
      sign_in_source_id: 'local',
      group_id: group.body.id,
      ade: {
        ...DEFAULT_ADE,
        enabled: true,
        department: 'Sales IT',
        support_phone_number: '+41 31 555 01 00',
        support_email_address: 'it@example.com',
        locked: true,
        pairing: 'require_certificate',
        pairing_certificates: [selfSigned('Host').certPem],
        additional_skip_keys: ['Welcome'],
        minimum_os_version: '17.5.1',
        await_device_configured: true,
        sign_in: 'web',
        configuration_deadline_minutes: 30,
        setup_assistant: { ...DEFAULT_ADE.setup_assistant, restore: false, siri: false },
      },
    }
    expect((await call('POST', PATH, whole)).body).toMatchObject(whole)
  })

  test('a patch merges at every level, and null gives the default', async () => {
    const { call, emitted, policies, db } = await world()
    const { body } = await call('POST', PATH, {
      name: newName(),
      ade: { department: 'IT', locked: true, setup_assistant: { zoom: false, siri: false } },
    })
    const path = `${PATH}/${body.id}`
    const patch = {
      description: 'New',
      ade: { department: null, setup_assistant: { zoom: null, restore: false } },
    }
    const patched = await call('PATCH', path, patch, { 'if-match': '"1"' })
    expect(patched).toMatchObject({ status: 200, headers: { etag: '"2"' } })
    expect(patched.body).toMatchObject({
      name: body.name,
      description: 'New',
      ade: {
        ...DEFAULT_ADE,
        locked: true,
        setup_assistant: { ...DEFAULT_ADE.setup_assistant, siri: false, restore: false },
      },
    })
    expect(emitted.at(-1)).toMatchObject({
      type: 'policy.updated',
      data: {
        policy_id: body.id,
        changed: ['description', 'ade.department', 'ade.setup_assistant'],
      },
    })
    expect((await call('PATCH', path, { ade: null })).body.ade).toEqual(DEFAULT_ADE)
    expect(await policies.find(db.kysely, body.id)).toMatchObject({ version: 3, ade: DEFAULT_ADE })
  })

  test('a patch that changes nothing makes no version, no event and no work', async () => {
    const { call, emitted } = await world()
    const { body } = await call('POST', PATH, { name: newName(), ade: { additional_skip_keys: ['Welcome'] } })
    const told = emitted.length
    for (const patch of [{}, { name: body.name }, { ade: {} }, { ade: body.ade }, { group_id: null }])
      expect((await call('PATCH', `${PATH}/${body.id}`, patch)).headers['etag']).toBe('"1"')
    expect(emitted.length).toBe(told)
  })

  test('names are unique, and the group is renamed with the policy', async () => {
    const { call, groupCall } = await world()
    const name = newName()
    const answers = await Promise.all(Array.from({ length: 4 }, () => call('POST', PATH, { name })))
    expect(answers.map(({ status }) => String(status)).toSorted()).toEqual(['201', '409', '409', '409'])
    const { body } = await call('POST', PATH, { name: newName() })
    expect(await call('PATCH', `${PATH}/${body.id}`, { name })).toMatchObject({
      status: 409,
      body: { errors: [{ path: 'name', message: 'is taken' }] },
    })
    const other = newName()
    await call('PATCH', `${PATH}/${body.id}`, { name: other })
    const own = await groupCall('GET', `/groups?policy_id=${body.id}`)
    expect(own.body.items).toMatchObject([{ name: `EnrollmentProfile:${other}` }])
  })

  test('is not deleted while in use; then it goes with its group', async () => {
    const { call, db, groupCall, emitted } = await world()
    const { body } = await call('POST', PATH, { name: newName() })
    const path = `${PATH}/${body.id}`
    const now = new Date()
    const dates = { created_at: now, updated_at: now }
    const server = { id: body.id, name: 'Bern', certificate: Buffer.alloc(1), private_key: Buffer.alloc(1) }
    await db.kysely
      .insertInto('ade_servers')
      .values({ ...server, ...dates })
      .execute()
    const serials = ['A', 'B', 'C'].map((serial_number) => ({
      serial_number,
      ade_server_id: body.id,
      policy_id: body.id,
      ...dates,
    }))
    await db.kysely.insertInto('ade_devices').values(serials).execute()
    expect(await call('DELETE', path)).toMatchObject({
      status: 409,
      body: { detail: '3 devices have this policy; give them another one first.' },
    })
    await db.kysely.deleteFrom('ade_devices').execute()
    await db.kysely.updateTable('ade_servers').set({ default_policy_id: body.id }).execute()
    expect((await call('DELETE', path)).body.detail).toBe(
      'New devices of "Bern" get this policy; choose another default first.',
    )
    await db.kysely.deleteFrom('ade_servers').execute()
    expect((await call('DELETE', path, undefined, { 'if-match': '"7"' })).status).toBe(412)
    expect((await call('DELETE', path)).status).toBe(204)
    expect((await call('GET', path)).status).toBe(404)
    expect((await call('PATCH', path, {})).status).toBe(404)
    expect((await groupCall('GET', `/groups?policy_id=${body.id}`)).body.items).toEqual([])
    expect(emitted.at(-1)).toMatchObject({ type: 'policy.deleted', data: { policy_id: body.id } })
  })

  test('those who name a group are told', async () => {
    const { call, groupCall } = await world()
    const group = await groupCall('POST', '/groups', { name: newName() })
    const name = newName()
    const { body: policy } = await call('POST', PATH, {
      ...{ name, group_id: group.body.id, sign_in_source_id: 'local' },
    })
    expect((await groupCall('DELETE', `/groups/${group.body.id}`)).body).toMatchObject({
      ...{ code: 'in_use', detail: `The group is named by: enrollment policy "${name}".` },
      used_by: [{ kind: 'enrollment_policy', id: policy.id, name }],
    })
  })

  test('either a group is deleted or a policy names it, whoever is first', async () => {
    const { call, groupCall } = await world()
    for (let round = 0; round < 10; round += 1) {
      const group = await groupCall('POST', '/groups', { name: newName() })
      const [made, gone] = await Promise.all([
        call('POST', PATH, { name: newName(), group_id: group.body.id }),
        groupCall('DELETE', `/groups/${group.body.id}`),
      ])
      expect(['201 409', '400 204']).toContain(`${made.status} ${gone.status}`)
    }
  })

  test('lists go by name, in pages', async () => {
    const { call } = await world()
    const prefix = newName()
    for (const letter of ['b', 'c', 'a']) await call('POST', PATH, { name: `${prefix} ${letter}` })
    const seen: string[] = []
    for (let cursor = ''; ;) {
      const { body } = await call('GET', `${PATH}?limit=2${cursor}`)
      seen.push(...body.items.map((policy: { name: string }) => policy.name))
      if (body.next_cursor === null) break
      cursor = `&cursor=${body.next_cursor}`
    }
    expect(seen.filter((name) => name.startsWith(prefix))).toEqual(
      ['a', 'b', 'c'].map((letter) => `${prefix} ${letter}`),
    )
    const named = await call('GET', `${PATH}?name=${encodeURIComponent(`${prefix} b`)}`)
    expect(named.body.items).toMatchObject([{ name: `${prefix} b` }])
  })

  test('one that an older version stored is completed', async () => {
    const { call, db } = await world()
    const { body } = await call('POST', PATH, { name: newName() })
    const stored = JSON.stringify({ locked: true, setup_assistant: { siri: false } })
    await db.kysely
      .updateTable('enrollment_policies')
      .set({ ade: stored })
      .where('id', '=', body.id)
      .execute()
    const { ade } = (await call('GET', `${PATH}/${body.id}`)).body
    expect(ade).toEqual({
      ...DEFAULT_ADE,
      locked: true,
      setup_assistant: { ...DEFAULT_ADE.setup_assistant, siri: false },
    })
  })
})

test('a device waits a quarter of an hour unless its policy says otherwise', () => {
  expect(configurationDeadlineMinutes({ ade: { configuration_deadline_minutes: null } })).toBe(15)
  expect(configurationDeadlineMinutes({ ade: { configuration_deadline_minutes: 3 } })).toBe(3)
})

import { scryptSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { createOperators } from '../../../src/features/operators/index.ts'
import { usersApi } from '../../../src/features/users/index.ts'
import { apiWorld, doorsOf } from '../../support/api-world.ts'
import { describeEachEngine } from '../../support/database.ts'
import { addSources, peopleOf } from '../../support/people.ts'
import { ACT } from '../../support/act.ts'
import { addDevice } from '../groups/world.ts'

describeEachEngine('users', (database) => {
  async function world() {
    const doors = doorsOf(database())
    await addSources(doors.db, 'a-source')
    const { users, settings } = peopleOf(doors)
    const { call } = await apiWorld({
      ...doors,
      operators: createOperators(doors),
      routes: usersApi({ users }),
    })
    return { ...doors, users, settings, call }
  }

  let names = 0
  const newName = () => `user-${(names += 1)}`

  test('only the name is needed; the rest has defaults', async () => {
    const { call, emitted } = await world()
    const name = newName()
    const made = await call('POST', '/users', { user_name: name })
    expect(made).toEqual({
      status: 201,
      headers: expect.objectContaining({ etag: '"1"', location: `/api/v1/users/${made.body.id}` }),
      body: {
        id: expect.any(String),
        user_name: name,
        display_name: '',
        email: null,
        device_limit: null,
        enrollment_manager: false,
        disabled: false,
        must_change_password: false,
        password_expires_at: null,
        sign_in: null,
        created_at: expect.stringMatching(/Z$/),
        updated_at: made.body.created_at,
      },
    })
    expect(await call('GET', `/users/${made.body.id}`)).toMatchObject({
      status: 200,
      headers: { etag: '"1"' },
      body: made.body,
    })
    expect(emitted.at(-1)).toMatchObject({
      type: 'user.created',
      user_name: name,
      data: { user_id: made.body.id },
    })
  })

  test('the password is kept as a salted scrypt hash that says how it was made, and never told', async () => {
    const { call, db, emitted } = await world()
    const name = newName()
    const password = 'Passw\u006f\u0308rt'
    const { body } = await call('POST', '/users', { user_name: name, password })
    const stored = async () =>
      (
        await db.kysely
          .selectFrom('users')
          .select('password_hash')
          .where('id', '=', body.id)
          .executeTakeFirstOrThrow()
      ).password_hash
    const [, scheme, parameters, salt = '', hash] = (await stored())?.split('$') ?? []
    expect([scheme, parameters]).toEqual(['scrypt', 'ln=15,r=8,p=3'])
    const options = { N: 2 ** 15, r: 8, p: 3, maxmem: 64 * 1024 * 1024 }
    const expected = scryptSync('Passw\u00f6rt', Buffer.from(salt, 'base64'), 32, options)
    expect(hash).toBe(expected.toString('base64').replaceAll('=', ''))
    expect(JSON.stringify([body, emitted])).not.toMatch(/"password"|Passw|scrypt/)
    await call('PATCH', `/users/${body.id}`, { password: null })
    expect(await stored()).toBeNull()
  })

  test('one person is one user, whatever the spelling', async () => {
    const { call, users, db } = await world()
    const { body } = await call('POST', '/users', { user_name: 'Jörg.Straße' })
    const again = await call('POST', '/users', { user_name: 'JO\u0308RG.STRASSE' })
    expect(again).toMatchObject({
      status: 409,
      body: { code: 'conflict', errors: [{ path: 'user_name', message: 'is taken' }] },
    })
    expect((await users.findByName(db.kysely, 'jörg.strasse'))?.id).toBe(body.id)
    const other = await call('POST', '/users', { user_name: newName() })
    expect(await call('PATCH', `/users/${other.body.id}`, { user_name: 'JÖRG.STRASSE' })).toMatchObject({
      status: 409,
    })
    expect(await call('PATCH', `/users/${body.id}`, { user_name: 'jörg.strasse' })).toMatchObject({
      status: 200,
      body: { user_name: 'jörg.strasse' },
    })
  })

  test('of many who add the same name one succeeds', async () => {
    const { call } = await world()
    const name = newName()
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => call('POST', '/users', { user_name: name })),
    )
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(7)
  })

  test('a patch changes what it names; null gives the default back', async () => {
    const { call, emitted } = await world()
    const { body } = await call('POST', '/users', {
      user_name: newName(),
      display_name: 'Anna',
      email: 'anna@example.com',
      device_limit: 3,
      disabled: true,
      password_expires_at: '2030-01-01T00:00:00Z',
    })
    expect(body).toMatchObject({ device_limit: 3, password_expires_at: '2030-01-01T00:00:00.000Z' })
    const changed = await call('PATCH', `/users/${body.id}`, {
      display_name: null,
      device_limit: null,
      disabled: null,
      password_expires_at: null,
      enrollment_manager: true,
    })
    expect(changed.headers['etag']).toBe('"2"')
    expect(changed.body).toMatchObject({
      display_name: '',
      email: 'anna@example.com',
      device_limit: null,
      disabled: false,
      password_expires_at: null,
      enrollment_manager: true,
    })
    expect(emitted.at(-1)).toMatchObject({
      type: 'user.updated',
      data: { changed: expect.arrayContaining(['display_name', 'enrollment_manager']) },
    })
  })

  test('changes heed If-Match', async () => {
    const { call } = await world()
    const { body } = await call('POST', '/users', { user_name: newName() })
    const path = `/users/${body.id}`
    expect((await call('PATCH', path, { disabled: true }, { 'if-match': '"1"' })).status).toBe(200)
    const stale = await call('PATCH', path, { disabled: false }, { 'if-match': '"1"' })
    expect(stale).toMatchObject({ status: 412, body: { code: 'precondition_failed' } })
    expect((await call('DELETE', path, undefined, { 'if-match': '"1"' })).status).toBe(412)
    expect((await call('GET', path)).body.disabled).toBe(true)
    expect((await call('DELETE', path, undefined, { 'if-match': '"2"' })).status).toBe(204)
  })

  test('of two patches of one version one succeeds', async () => {
    const { call } = await world()
    const { body } = await call('POST', '/users', { user_name: newName() })
    const patch = (limit: number) =>
      call('PATCH', `/users/${body.id}`, { device_limit: limit }, { 'if-match': '"1"' })
    const answers = await Promise.all([patch(1), patch(2)])
    expect(answers.map(({ status }) => status)).toContain(200)
    expect(answers.map(({ status }) => status)).toContain(412)
  })

  test('one who has enrolled devices cannot be deleted', async () => {
    const { call, db, emitted } = await world()
    const { body } = await call('POST', '/users', { user_name: newName() })
    for (let n = 0; n < 2; n++) await addDevice(db, { user_id: body.id })
    expect(await call('DELETE', `/users/${body.id}`)).toMatchObject({
      status: 409,
      body: { code: 'conflict', detail: 'The user still has 2 enrolled devices.' },
    })
    await db.kysely
      .updateTable('enrollments')
      .set({ unenrolled_at: new Date() })
      .where('user_id', '=', body.id)
      .execute()
    expect((await call('DELETE', `/users/${body.id}`)).status).toBe(204)
    expect((await call('GET', `/users/${body.id}`)).status).toBe(404)
    expect((await call('PATCH', `/users/${body.id}`, {})).status).toBe(404)
    expect((await call('DELETE', `/users/${body.id}`)).status).toBe(404)
    expect(emitted.at(-1)?.type).toBe('user.deleted')
  })

  test('lists go by name, page by page, or give the one of a name', async () => {
    const { call, db } = await world()
    await db.kysely.deleteFrom('users').execute()
    const wanted = ['Anna', 'berta', 'Claus', 'dora', 'Émile']
    for (const name of wanted.toReversed()) await call('POST', '/users', { user_name: name })
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const page = await call('GET', `/users?limit=2${cursor && `&cursor=${cursor}`}`)
      seen.push(...page.body.items.map((user: { user_name: string }) => user.user_name))
      cursor = page.body.next_cursor
    }
    expect(seen.toSorted()).toEqual(wanted.toSorted())
    const one = await call('GET', `/users?user_name=${encodeURIComponent('E\u0301MILE')}`)
    expect(one.body.items).toMatchObject([{ user_name: 'Émile' }])
    expect((await call('GET', '/users?user_name=nobody')).body).toEqual({ items: [], next_cursor: null })
    expect((await call('GET', '/users?cursor=x')).body.errors).toEqual([
      { path: 'cursor', message: 'is not a cursor of this list' },
    ])
  })

  test.each([
    [{}, 'user_name'],
    [{ user_name: '' }, 'user_name'],
    [{ user_name: ' anna' }, 'user_name'],
    [{ user_name: 'a\x07b' }, 'user_name'],
    [{ user_name: 'a', device_limit: -1 }, 'device_limit'],
    [{ user_name: 'a', device_limit: '3' }, 'device_limit'],
    [{ user_name: 'a', email: 'nowhere' }, 'email'],
    [{ user_name: 'a', password: '' }, 'password'],
    [{ user_name: 'a', password_expires_at: '2030-02-30T00:00:00Z' }, 'password_expires_at'],
    [{ user_name: 'a', username: 'b' }, 'username'],
    [{ user_name: 'a', id: 'mine' }, 'id'],
  ])('%j is refused by name', async (body, path) => {
    const { call } = await world()
    expect(await call('POST', '/users', body)).toMatchObject({ status: 400, body: { errors: [{ path }] } })
  })

  test('the limit is the user’s own or the default, read with the caller’s transaction', async () => {
    const { call, users, settings, db } = await world()
    const limitOf = async (fields: object) => {
      const { body } = await call('POST', '/users', { user_name: newName(), ...fields })
      return db.transaction(async (trx) => {
        const user = await users.lock(trx, body.id)
        return user === undefined ? undefined : users.limitOf(user, trx)
      })
    }
    expect(await limitOf({ device_limit: 0 })).toBe(0)
    expect(await limitOf({})).toBe(15)
    await settings.update({ default_device_limit: null }, ACT)
    expect(await limitOf({})).toBeNull()
    await settings.update({ default_device_limit: 15 }, ACT)
    expect(await db.transaction((trx) => users.lock(trx, 'nobody'))).toBeUndefined()
  })

  test('whom of a sign-in source they are can be said, changed and taken back', async () => {
    const { call } = await world()
    const sign_in = { source_id: 'a-source', subject: newName() }
    const made = await call('POST', '/users', { user_name: newName(), sign_in })
    expect(made).toMatchObject({ status: 201, body: { sign_in } })
    const path = `/users/${made.body.id}`
    const other = { ...sign_in, subject: newName() }
    expect((await call('PATCH', path, { sign_in: other })).body).toMatchObject({ sign_in: other })
    // A merge patch goes into objects.
    expect((await call('PATCH', path, { display_name: 'A' })).body).toMatchObject({ sign_in: other })
    expect((await call('PATCH', path, { sign_in: null })).body).toMatchObject({ sign_in: null })
    expect((await call('PATCH', path, { sign_in: other })).body).toMatchObject({ sign_in: other })
    expect(await call('POST', '/users', { user_name: newName(), sign_in: other })).toMatchObject({
      status: 409,
      body: { code: 'conflict' },
    })
    for (const wrong of [
      { source_id: 'no-source', subject: 'x' },
      { subject: 'x' },
      { source_id: 'a-source' },
      'x',
      {},
      { ...sign_in, subject: '' },
      { ...sign_in, subject: 'x'.repeat(321) },
      { ...sign_in, more: 1 },
      { ...sign_in, subject: 'a\0b' },
      { ...sign_in, subject: 'a\ud800' },
    ]) {
      expect((await call('PATCH', path, { sign_in: wrong })).status).toBe(400)
    }
  })

  test('no text that no column takes is an error of the server', async () => {
    const { call } = await world()
    for (const odd of ['a\0b', 'a\ud800', '\udc00a']) {
      const texts = [
        { user_name: odd },
        { display_name: odd },
        { email: `${odd}@example.com` },
        { password: odd },
        { email: `a@${odd}` },
        { password_expires_at: odd },
      ]
      for (const text of texts) {
        const answer = await call('POST', '/users', { user_name: newName(), ...text })
        expect([text, answer.status]).toEqual([text, 400])
      }
    }
    const statuses = async (path: string) =>
      (
        await Promise.all([call('GET', path), call('PATCH', path, { disabled: true }), call('DELETE', path)])
      ).map(({ status }) => status)
    expect(await statuses('/users/x%00')).toEqual([400, 400, 400])
    expect(await statuses('/users/%ED%A0%80')).toEqual([400, 400, 400])
    expect((await call('GET', '/users?user_name=x%00')).status).toBeLessThan(500)
    const cursor = Buffer.from(JSON.stringify(['a\0b'])).toString('base64url')
    expect((await call('GET', `/users?cursor=${cursor}`)).status).toBeLessThan(500)
  })
})

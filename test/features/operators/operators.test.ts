import { expect, test } from 'vitest'
import { apiTokensApi, createOperators } from '../../../src/features/operators/index.ts'
import { createLog } from '../../../src/kernel/log.ts'
import { apiWorld, doorsOf } from '../../support/api-world.ts'
import { describeEachEngine } from '../../support/database.ts'
import { manualClock } from '../../support/manual-clock.ts'
import { ACT } from '../../support/act.ts'

describeEachEngine('API tokens', (database) => {
  function doors() {
    const made = doorsOf(database())
    return { ...made, operators: createOperators(made) }
  }

  test('a token is known by its secret until it expires', async () => {
    const { operators, clock } = doors()
    const expires = new Date(clock.now().getTime() + 60_000)
    const { token, secret } = await operators.create({ name: 'a', role: 'viewer', expires_at: expires }, ACT)
    expect(secret).toMatch(/^fbt_[\w-]{43}$/)
    expect(await operators.authenticate(secret)).toEqual({
      kind: 'api_token',
      id: token.id,
      name: 'a',
      role: 'viewer',
      makers: ['the-admin'],
    })
    expect(await operators.authenticate(`${secret}x`)).toBeUndefined()
    expect(await operators.authenticate('x'.repeat(100_000))).toBeUndefined()
    clock.advance(59_999)
    expect(await operators.authenticate(secret)).toBeDefined()
    clock.advance(1)
    expect(await operators.authenticate(secret)).toBeUndefined()
  })

  test('only the hash of a secret is kept', async () => {
    const { operators, db } = doors()
    const { secret } = await operators.create({ name: 'b', role: 'viewer', expires_at: null }, ACT)
    const rows = await db.kysely.selectFrom('api_tokens').selectAll().execute()
    expect(JSON.stringify(rows)).not.toContain(secret)
    expect(rows.every(({ secret_hash }) => secret_hash.length === 32)).toBe(true)
  })

  test('a deleted token is dead at once here, and within 2 seconds in another process', async () => {
    const clock = manualClock()
    const here = createOperators(doorsOf(database(), clock))
    const there = createOperators(doorsOf(database(), clock))
    await here.create({ name: 'stays', role: 'admin', expires_at: null }, ACT)
    const { token, secret } = await here.create({ name: 'goes', role: 'admin', expires_at: null }, ACT)
    await Promise.all([here.authenticate(secret), there.authenticate(secret)])
    await here.remove(token.id, ACT)
    expect(await here.authenticate(secret)).toBeUndefined()
    clock.advance(1_999)
    expect(await there.authenticate(secret)).toBeDefined()
    clock.advance(1)
    expect(await there.authenticate(secret)).toBeUndefined()
  })

  test('uses are written together later, and never go back', async () => {
    const { operators, clock, db } = doors()
    const { token, secret } = await operators.create({ name: 'c', role: 'viewer', expires_at: null }, ACT)
    const lastUsed = async () => (await operators.get(token.id)).last_used_at
    await operators.authenticate(secret)
    expect(await lastUsed()).toBeNull()
    await operators.flushLastUsed()
    const first = clock.now()
    expect(await lastUsed()).toEqual(first)
    const late = createOperators(doorsOf(db, manualClock(new Date(first.getTime() - 5_000))))
    await late.authenticate(secret)
    await late.flushLastUsed()
    expect(await lastUsed()).toEqual(first)
  })

  test('the last valid admin token cannot be deleted, not even by two requests at once', async () => {
    const { operators, db } = doors()
    await db.kysely.deleteFrom('api_tokens').execute()
    const make = () => operators.create({ name: 'admin', role: 'admin', expires_at: null }, ACT)
    const [one, two] = [await make(), await make()]
    const outcomes = await Promise.allSettled([
      operators.remove(one.token.id, ACT),
      operators.remove(two.token.id, ACT),
    ])
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'conflict', message: expect.stringContaining('last valid admin token') },
    })
    expect(await db.kysely.selectFrom('api_tokens').select('id').execute()).toHaveLength(1)
  })

  test('the admin token of the environment always counts; a generated one only where there is no other', async () => {
    const { operators, db, emitted } = doors()
    await db.kysely.deleteFrom('api_tokens').execute()
    expect(await operators.ensureAdminToken('generated-1', { isGiven: false })).toBe(true)
    expect(await operators.ensureAdminToken('generated-1', { isGiven: false })).toBe(true)
    expect(await operators.ensureAdminToken('generated-2', { isGiven: false })).toBe(false)
    expect(await operators.ensureAdminToken('given', { isGiven: true })).toBe(true)
    expect(await operators.ensureAdminToken('given', { isGiven: true })).toBe(true)
    expect(emitted.map(({ type }) => type)).toEqual(['api_token.created', 'api_token.created'])
  })

  test('another admin token in the environment ends the one before, and no other', async () => {
    const { db, clock, events, emitted } = doors()
    await db.kysely.deleteFrom('api_tokens').execute()
    const lines: Record<string, unknown>[] = []
    const log = createLog({
      level: 'info',
      destination: { write: (line) => void lines.push(JSON.parse(line)) },
    })
    const operators = createOperators({ db, clock, log, events })
    expect(await operators.ensureAdminToken('generated', { isGiven: false })).toBe(true)
    const made = await operators.create({ name: 'First admin token', role: 'admin', expires_at: null }, ACT)
    for (const secret of ['given-1', 'given-1', 'given-2', 'given-2'])
      expect(await operators.ensureAdminToken(secret, { isGiven: true })).toBe(true)
    expect(lines).toMatchObject([
      { level: 'warn', event: 'operators.admin_token_ended', api_token_id: expect.any(String) },
    ])
    expect(emitted.at(-1)).toMatchObject({
      type: 'api_token.deleted',
      data: { api_token_id: lines[0]?.['api_token_id'] },
    })
    const valid = async (secret: string) => (await operators.authenticate(secret)) !== undefined
    expect(await valid('given-1')).toBe(false)
    for (const secret of ['given-2', 'generated', made.secret]) expect(await valid(secret)).toBe(true)

    // A token that was the setting's once is ended too, whoever made it; without the setting nothing ends.
    await operators.ensureAdminToken(made.secret, { isGiven: true })
    expect(await valid('given-2')).toBe(false)
    await operators.ensureAdminToken('generated', { isGiven: false })
    expect(await valid(made.secret)).toBe(true)
    await operators.ensureAdminToken('given-1', { isGiven: true })
    expect([await valid(made.secret), await valid('given-1'), await valid('generated')]).toEqual([
      false,
      true,
      true,
    ])
  })

  test('the API makes, shows, lists and deletes them', async () => {
    const { operators, db, clock, emitted } = doors()
    const { call } = await apiWorld({ db, clock, operators, routes: apiTokensApi({ operators }) })
    const made = await call('POST', '/api-tokens', { name: 'script', role: 'operator' })
    expect(made).toMatchObject({
      status: 201,
      headers: { location: `/api/v1/api-tokens/${made.body.id}` },
      body: { name: 'script', role: 'operator', expires_at: null, last_used_at: null },
    })
    const { secret, ...shown } = made.body
    expect(await call('GET', `/api-tokens/${shown.id}`)).toMatchObject({ status: 200, body: shown })
    const first = await call('GET', '/api-tokens?limit=1')
    expect(first.body.items).toHaveLength(1)
    const rest = await call('GET', `/api-tokens?cursor=${first.body.next_cursor}`)
    expect(rest.body.items).toContainEqual(shown)
    expect(JSON.stringify(rest.body)).not.toContain(secret)
    expect((await call('DELETE', `/api-tokens/${shown.id}`)).status).toBe(204)
    expect(await call('GET', `/api-tokens/${shown.id}`)).toMatchObject({
      status: 404,
      body: { code: 'not_found' },
    })
    expect(await call('DELETE', `/api-tokens/${shown.id}`)).toMatchObject({ status: 404 })
    expect(emitted.slice(-2)).toMatchObject([
      { type: 'api_token.created', data: { api_token_id: shown.id, name: 'script', role: 'operator' } },
      { type: 'api_token.deleted', data: { api_token_id: shown.id } },
    ])
    expect(JSON.stringify(emitted)).not.toContain(secret)
  })

  test.each([
    [{ role: 'viewer' }, 'name', 'is missing'],
    [{ name: 'a', role: 'root' }, 'role', 'must be one of viewer, operator, admin'],
    [{ name: 'a\x07', role: 'viewer' }, 'name', 'must match pattern'],
    [
      { name: 'a', role: 'viewer', expires_at: '2020-01-01T00:00:00Z' },
      'expires_at',
      'must be in the future',
    ],
    [{ name: 'a', role: 'viewer', expires_at: 'tomorrow' }, 'expires_at', 'has none of the allowed forms'],
    [{ name: 'a', role: 'viewer', secret: 'mine' }, 'secret', 'is not known here'],
  ])('%j is refused', async (body, path, message) => {
    const { operators, db, clock } = doors()
    const { call } = await apiWorld({ db, clock, operators, routes: apiTokensApi({ operators }) })
    expect(await call('POST', '/api-tokens', body)).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', errors: [{ path, message: expect.stringContaining(message) }] },
    })
  })
})

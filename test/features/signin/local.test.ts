import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type TestDatabase, testDatabase } from '../../support/database.ts'
import { type ManualClock, manualClock } from '../../support/manual-clock.ts'
import { newAddress, newName, signinWorld } from './signin-world.ts'

// Hashing is slow on purpose: the limit is for what hangs, not for a busy machine.
vi.setConfig({ testTimeout: 120_000 })

const PASSWORD = 'Grüße aus dem Süden'

/** What comes of it while time goes by. */
async function passing<T>(clock: ManualClock, result: Promise<T>): Promise<T> {
  let isDone = false
  void result
    .catch(() => undefined)
    .finally(() => {
      isDone = true
    })
  while (!isDone) {
    clock.advance(10)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return result
}

describe('local accounts', () => {
  let opened: TestDatabase
  const database = () => opened
  beforeAll(async () => {
    opened = await testDatabase('postgres')
  })
  afterAll(() => opened.close())

  test('whoever knows the password is signed in, whatever the spelling of the name', async () => {
    const { account, verify } = signinWorld(database())
    const user = await account({ user_name: 'Jörg.Straße', password: PASSWORD })
    const result = await verify('JO\u0308RG.STRASSE', PASSWORD.normalize('NFD'), { sourceId: 'local' })
    expect(result).toEqual({ ok: true, user })
  })

  test('each refusal has its reason, and no word of the password', async () => {
    const clock = manualClock()
    const { account, verify, lines, emitted } = signinWorld(database(), { clock })
    const disabled = await account({ password: PASSWORD, disabled: true })
    const mustChange = await account({ password: PASSWORD, must_change_password: true })
    const expired = await account({ password: PASSWORD, password_expires_at: clock.now() })
    const without = await account()
    const results = {
      unknown: await verify(newName('nobody'), PASSWORD),
      wrong: await verify(expired.user_name, 'Grüße aus dem Norden'),
      without: await verify(without.user_name, PASSWORD),
      disabled: await verify(disabled.user_name, PASSWORD),
      mustChange: await verify(mustChange.user_name, PASSWORD),
      expired: await verify(expired.user_name, PASSWORD),
    }
    expect(results).toEqual({
      unknown: { ok: false, reason: 'user_unknown', detail: 'there is no local account of this name' },
      wrong: { ok: false, reason: 'invalid_credentials', detail: 'the password is wrong' },
      without: { ok: false, reason: 'invalid_credentials', detail: 'the password is wrong' },
      disabled: {
        ok: false,
        reason: 'user_disabled',
        detail: `the local account ${disabled.user_name} is disabled`,
      },
      mustChange: {
        ok: false,
        reason: 'password_change_required',
        detail: 'the password is right but must be changed first',
        user: mustChange,
      },
      expired: {
        ok: false,
        reason: 'password_expired',
        detail: `the password is right but has expired on ${clock.now().toISOString()}`,
        user: expired,
      },
    })
    expect(JSON.stringify([results, lines, emitted])).not.toMatch(/Grüße|scrypt/)
  })

  test('impossible credentials cost nothing and do not count', async () => {
    const { verify, signin } = signinWorld(database())
    for (const [name, password] of [
      ['', 'x'],
      [' ', 'x'],
      ['anna', ''],
      ['an\0na', 'x'],
      ['a'.repeat(256), 'x'],
      ['anna', 'x'.repeat(1025)],
    ] as const) {
      expect(await verify(name, password)).toMatchObject({
        reason: 'invalid_credentials',
        detail: 'the user name or the password is empty, too long or not a text',
      })
    }
    expect(await verify('anna', 'x', { sourceId: 'gone' })).toMatchObject({
      reason: 'directory_unavailable',
      detail: 'the sign-in source does not exist any more',
    })
    await signin.maintain()
  })

  test('ten wrong passwords slow the user down in this network, not in others nor the others there; time and a right one end it', async () => {
    const clock = manualClock()
    const { account, verify } = signinWorld(database(), { clock })
    const [victim, other] = [await account({ password: PASSWORD }), await account({ password: PASSWORD })]
    const address = newAddress()
    const wrong = await Promise.all(
      Array.from({ length: 14 }, () => verify(victim.user_name, 'wrong', { address })),
    )
    const reasons = wrong.map((result) => (result.ok ? 'ok' : result.reason))
    const tried = reasons.filter((reason) => reason === 'invalid_credentials').length
    expect(tried).toBeGreaterThanOrEqual(10)
    expect(tried).toBeLessThanOrEqual(13)
    const slowed = await verify(victim.user_name.toUpperCase(), PASSWORD, { address })
    expect(slowed).toMatchObject({ ok: false, reason: 'too_many_failures' })
    const { retryAfterSeconds = 0 } = slowed as { retryAfterSeconds?: number }
    expect(retryAfterSeconds).toBeGreaterThanOrEqual(15)
    expect(retryAfterSeconds).toBeLessThanOrEqual(120)
    expect(await verify(other.user_name, PASSWORD, { address })).toMatchObject({ ok: true })
    const elsewhere = await passing(clock, verify(victim.user_name, PASSWORD))
    expect(elsewhere).toMatchObject({ ok: true })
    clock.advance(retryAfterSeconds * 1000)
    const here = (password: string) => passing(clock, verify(victim.user_name, password, { address }))
    expect(await here(PASSWORD)).toMatchObject({ ok: true })
    expect(await here('wrong')).toMatchObject({ reason: 'invalid_credentials' })
    expect(await here(PASSWORD)).toMatchObject({ ok: true })
  })

  test('being many is no failure: twelve phones of one person behind one address', async () => {
    const { account, verify } = signinWorld(database())
    const { user_name: name } = await account({ password: PASSWORD })
    const address = newAddress()
    const all = await Promise.all(Array.from({ length: 12 }, () => verify(name, PASSWORD, { address })))
    expect(all.filter(({ ok }) => ok)).toHaveLength(12)
  })

  test('an account that must change its password gets a new one with the old', async () => {
    const clock = manualClock()
    const { account, verify, signin, emitted, lines, db } = signinWorld(database(), { clock })
    const user = await account({
      user_name: 'maria.huber@example.com',
      password: PASSWORD,
      must_change_password: true,
      password_expires_at: clock.now(),
    })
    const changePassword = (newPassword: string, oldPassword = PASSWORD) =>
      signin.changePassword({ user, oldPassword, newPassword, address: newAddress(), requestId: 'r-9' })
    for (const [password, detail] of [
      ['kurz', '12 characters or more'],
      ['abababababab', '5 different characters'],
      ['I am Maria.Huber!', 'the user name'],
      ['control\u0007 characters', 'control characters'],
      ['long '.repeat(300), 'at most'],
      [PASSWORD.normalize('NFD'), 'another one than the old'],
    ] as const) {
      expect(await changePassword(password)).toEqual({
        ok: false,
        reason: 'password_refused',
        detail: expect.stringContaining(detail),
      })
    }
    expect(await changePassword('correct horse battery', 'wrong')).toMatchObject({
      reason: 'invalid_credentials',
    })
    expect(await changePassword('correct horse battery')).toMatchObject({
      ok: true,
      user: { id: user.id, must_change_password: false, password_expires_at: null },
    })
    expect(await verify(user.user_name, 'correct horse battery')).toMatchObject({ ok: true })
    expect(await verify(user.user_name, PASSWORD)).toMatchObject({ reason: 'invalid_credentials' })
    expect(emitted.at(-1)).toMatchObject({
      type: 'user.updated',
      act: { by: { kind: 'person', id: user.id }, via: 'page', request_id: 'r-9' },
    })
    const stored = await db.kysely.selectFrom('users').select('password_hash').execute()
    expect(JSON.stringify([stored, emitted, lines])).not.toMatch(/correct horse|Grüße/)
  })
})

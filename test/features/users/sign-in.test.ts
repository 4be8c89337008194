import { expect, test, vi } from 'vitest'
import { doorsOf } from '../../support/api-world.ts'
import { describeEachEngine } from '../../support/database.ts'
import { ACT } from '../../support/act.ts'
import { peopleOf } from '../../support/people.ts'

// Hashing is slow on purpose: the limit is for what hangs, not for a busy machine.
vi.setConfig({ testTimeout: 120_000 })

const TURN = { lane: 'a', maxWaitMs: 10_000 }
const NEW = {
  display_name: '',
  email: null,
  device_limit: null,
  enrollment_manager: false,
  disabled: false,
  must_change_password: false,
  password_expires_at: null,
}

describeEachEngine('users who sign in', (database) => {
  function world() {
    const doors = doorsOf(database())
    return { ...doors, users: peopleOf(doors).users }
  }

  test('have the password that was set, in whatever Unicode form it is typed, and no other', async () => {
    const { users } = world()
    const user = await users.create({ ...NEW, user_name: 'eva', password: 'Zu\u0308rich 7' }, ACT)
    expect(await users.verifyPassword(user, 'Z\u00fcrich 7', TURN)).toBe(true)
    expect(await users.verifyPassword(user, 'Zu\u0308rich 7', TURN)).toBe(true)
    for (const wrong of ['Zurich 7', 'z\u00fcrich 7', 'Z\u00fcrich 7 ', '', '\ud800'])
      expect(await users.verifyPassword(user, wrong, TURN)).toBe(false)
    await users.update(user.id, { password: 'another' }, ACT)
    expect(await users.verifyPassword(user, 'Z\u00fcrich 7', TURN)).toBe(false)
    expect(await users.verifyPassword(user, 'another', TURN)).toBe(true)
  })

  test('nobody, and a user without a password, have none', async () => {
    const { users } = world()
    const user = await users.create({ ...NEW, user_name: 'no-password', password: null }, ACT)
    expect(await users.verifyPassword(user, '', TURN)).toBe(false)
    expect(await users.verifyPassword(undefined, 'anything', TURN)).toBe(false)
    expect(await users.verifyPassword({ id: 'unknown' }, 'anything', TURN)).toBe(false)
  })

  test('a stored password in another form is an error, not a wrong password', async () => {
    const { users, db } = world()
    const user = await users.create({ ...NEW, user_name: 'broken', password: 'a' }, ACT)
    await db.kysely
      .updateTable('users')
      .set({ password_hash: '$2b$10$bcrypt' })
      .where('id', '=', user.id)
      .execute()
    await expect(users.verifyPassword(user, 'a', TURN)).rejects.toThrow(
      'not in the form in which we keep them',
    )
  })
})

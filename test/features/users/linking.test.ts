import { beforeAll, expect, test } from 'vitest'
import { doorsOf } from '../../support/api-world.ts'
import { describeEachEngine } from '../../support/database.ts'
import { ACT } from '../../support/act.ts'
import { addSources, peopleOf } from '../../support/people.ts'

const NEW = {
  display_name: '',
  email: null,
  device_limit: null,
  enrollment_manager: false,
  disabled: false,
  must_change_password: false,
  password_expires_at: null,
  password: null,
}
const RULES = { creates: true, linksExisting: false }
const A = 'source-a'
const B = 'source-b'

let names = 0

describeEachEngine('people of sign-in sources', (database) => {
  beforeAll(() => addSources(database(), A, B))

  function world() {
    const doors = doorsOf(database())
    const { users } = peopleOf(doors)
    names += 1
    const name = `anna-${names}@example.com`
    const link = (
      user_name: string,
      subject: string,
      { source_id = A, ...rules }: Partial<typeof RULES> & { source_id?: string } = {},
    ) => {
      const person = { user_name, sign_in: { source_id, subject: `${subject}-${names}` } }
      return users.link({ ...person, display_name: 'Anna' }, { ...RULES, ...rules }, 'r-7')
    }
    const idOf = async (...args: Parameters<typeof link>) => {
      const standing = await link(...args)
      return standing.is === 'known' ? standing.user.id : standing.is
    }
    const linkOf = async (id: string) => {
      const { sign_in_source_id, sign_in_subject } = await users.get(id)
      return [sign_in_source_id, sign_in_subject]
    }
    return { ...doors, users, name, link, idOf, linkOf, subject: (text: string) => `${text}-${names}` }
  }

  test('somebody new becomes one user, at any number of first sign-ins at once and whatever the spelling', async () => {
    const { idOf, name, db, emitted, users } = world()
    const spellings = [name, name.toUpperCase(), ` ${name} `, name, name.replace('a', 'A')]
    const found = await Promise.all(spellings.map((spelling) => idOf(spelling, 's1')))
    expect(new Set(found).size).toBe(1)
    const [id = ''] = found
    expect(await users.get(id)).toMatchObject({ display_name: 'Anna', email: null, device_limit: null })
    const told = await db.kysely
      .selectFrom('event_outbox')
      .selectAll()
      .where('type', '=', 'user.created')
      .where('user_name', 'in', spellings)
      .execute()
    expect(told).toHaveLength(1)
    expect(emitted).toContainEqual(
      expect.objectContaining({
        type: 'user.created',
        data: { user_id: id },
        act: expect.objectContaining({ by: null, via: 'page' }),
      }),
    )
  })

  test('afterwards the subject alone says who it is, whatever the name has become', async () => {
    const { idOf, name, users } = world()
    const id = await idOf(name, 's1')
    expect(await idOf(`married.${name}`, 's1')).toBe(id)
    expect((await users.get(id)).user_name).toBe(name)
    // Also one whose new name is another's, or cannot be a user's.
    const other = await idOf(`other.${name}`, 's2')
    expect(await idOf(name, 's2')).toBe(other)
    expect(await idOf('', 's2')).toBe(other)
  })

  test('a re-created account, or another subject of that name, is not the former one', async () => {
    const { link, idOf, linkOf, name, users, subject } = world()
    const id = await idOf(name, 's1')
    expect(await link(name, 's2')).toMatchObject({ is: 'taken', user: { id, has_password: false } })
    expect(await link(name, 's1', { source_id: B })).toMatchObject({ is: 'taken' })
    expect(await linkOf(id)).toEqual([A, subject('s1')])
    // By an administrator's word they are: of the user, or of the source.
    await users.update(id, { sign_in: { source_id: A, subject: subject('s2') } }, ACT)
    expect(await idOf(name, 's2')).toBe(id)
    expect(await idOf(name, 's1')).toBe('taken')
    expect(await idOf(name, 's3', { source_id: B, linksExisting: true })).toBe(id)
    expect(await linkOf(id)).toEqual([B, subject('s3')])
    expect(await idOf(name, 's2')).toBe('taken')
    await users.update(id, { sign_in: null }, ACT)
    expect(await idOf(name, 's2')).toBe(id)
  })

  test('a user who was there is linked at the first sign-in, where they have neither password nor link', async () => {
    const { link, idOf, linkOf, name, users, emitted, subject } = world()
    const free = await users.create({ ...NEW, user_name: name, disabled: true }, ACT)
    expect(await link(name.toUpperCase(), 's1', { creates: false })).toMatchObject({
      is: 'known',
      user: { id: free.id, user_name: name, display_name: '', disabled: true, version: 2 },
    })
    expect(await linkOf(free.id)).toEqual([A, subject('s1')])
    expect(emitted.at(-1)).toMatchObject({
      type: 'user.updated',
      act: { by: null, via: 'page', request_id: 'r-7' },
      data: { user_id: free.id, changed: ['sign_in'] },
    })
    const local = await users.create({ ...NEW, user_name: `local.${name}`, password: 'secret' }, ACT)
    expect(await link(`local.${name}`, 's2')).toMatchObject({
      is: 'taken',
      user: { id: local.id, has_password: true },
    })
    expect(await linkOf(local.id)).toEqual([null, null])
    expect(await idOf(`local.${name}`, 's2', { linksExisting: true })).toBe(local.id)
    expect(await idOf(`nobody.${name}`, 's3', { creates: false })).toBe('unknown')
  })

  test('of two people who want to be the same user at once, one is', async () => {
    const { link, name, users, linkOf } = world()
    const free = await users.create({ ...NEW, user_name: name }, ACT)
    for (const target of [name, `new.${name}`]) {
      const found = await Promise.all(
        [...Array(6).keys()].map((number) =>
          link(target, `rival-${target}-${number}`, { source_id: number % 2 ? A : B }),
        ),
      )
      expect(found.map(({ is }) => is).toSorted()).toEqual(['known', ...Array(5).fill('taken')])
    }
    expect((await linkOf(free.id))[1]).toMatch(/^rival-/)
  })

  test('of one person who signs in under two names at once, one user is made', async () => {
    const { idOf, name } = world()
    const found = await Promise.all([1, 2, 3, 4].map((number) => idOf(`${number}.${name}`, 's1')))
    expect(new Set(found).size).toBe(1)
  })

  test('two sources with the same names and the same numbers are two sets of people', async () => {
    const { idOf, name } = world()
    const id = await idOf(name, '7')
    expect(await idOf(name, '7', { source_id: B })).toBe('taken')
    const other = await idOf(`b.${name}`, '7', { source_id: B })
    expect(other).not.toBe(id)
    expect(await idOf(name, '7')).toBe(id)
  })

  test('a user whose subject is not known yet is free for their own source alone', async () => {
    const { idOf, linkOf, name, users, db, subject } = world()
    const id = await idOf(name, 's1')
    await db.transaction((trx) => users.forgetSubjects(trx, A))
    expect(await linkOf(id)).toEqual([A, null])
    expect(await idOf(name, 's1', { source_id: B })).toBe('taken')
    expect(await idOf(name, 's2')).toBe(id)
    expect(await linkOf(id)).toEqual([A, subject('s2')])
  })

  test('one subject is one user: an administrator cannot give it to a second', async () => {
    const { idOf, name, users, subject } = world()
    await idOf(name, 's1')
    const sign_in = { source_id: A, subject: subject('s1') }
    const taken = { code: 'conflict', fields: [{ path: 'sign_in', message: 'is taken' }] }
    await expect(users.create({ ...NEW, user_name: `b.${name}`, sign_in }, ACT)).rejects.toMatchObject(taken)
    const other = await users.create({ ...NEW, user_name: `c.${name}` }, ACT)
    await expect(users.update(other.id, { sign_in }, ACT)).rejects.toMatchObject(taken)
    await expect(users.create({ ...NEW, user_name: name, sign_in: null }, ACT)).rejects.toMatchObject({
      fields: [{ path: 'user_name', message: 'is taken' }],
    })
  })

  test('details that a directory spells in ways of its own are left out', async () => {
    const { users, name, subject } = world()
    const person = {
      user_name: name,
      sign_in: { source_id: A, subject: subject('s1') },
      display_name: 'x'.repeat(300),
      email: 'no address',
    }
    expect(await users.link(person, RULES, 'r')).toMatchObject({
      user: { display_name: 'x'.repeat(255), email: null },
    })
  })

  test.each(['', '   ', 'a\u0000b', 'a\nb', 'a\ud800', 'x'.repeat(256)])(
    '%j cannot be a user',
    async (user_name) => {
      const { link } = world()
      await expect(link(user_name, 's1')).rejects.toMatchObject({
        code: 'invalid_request',
        message: 'This cannot be the name of a user.',
      })
    },
  )
})

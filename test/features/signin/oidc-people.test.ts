import { expect, test } from 'vitest'
import { describeEachEngine } from '../../support/database.ts'
import { oidcWorld, PASSWORD, SECRET } from './oidc-world.ts'
import { newName } from './signin-world.ts'
import { ACT } from '../../support/act.ts'

const EMAIL = { preferred_username: undefined, email: 'a@example.com' }

describeEachEngine('people of OpenID providers', (database) => {
  const world = (options?: Parameters<typeof oidcWorld>[1]) => oidcWorld(database(), options)

  test.each<[string, Record<string, unknown>, string | undefined, string | undefined]>([
    [
      'a verified email',
      { ...EMAIL, email: 'a.0@example.com', email_verified: true },
      undefined,
      'a.0@example.com',
    ],
    [
      'a verified email, as a text',
      { ...EMAIL, email: 'a.1@example.com', email_verified: 'true' },
      undefined,
      'a.1@example.com',
    ],
    ['an email of which nothing is said', EMAIL, undefined, undefined],
    ['an email that is 1', { ...EMAIL, email_verified: 1 }, undefined, undefined],
    ['an email that is TRUE', { ...EMAIL, email_verified: 'TRUE' }, undefined, undefined],
    ['an email of which nothing is said, by name', EMAIL, 'email', undefined],
    [
      'a verified email by name',
      { ...EMAIL, email: 'a.2@example.com', email_verified: true },
      'email',
      'a.2@example.com',
    ],
    [
      'an unverified email',
      { preferred_username: undefined, email: 'x@example.com', email_verified: false },
      undefined,
      undefined,
    ],
    ['an unverified email by name', { email: 'x@example.com', email_verified: false }, 'email', undefined],
    ['a claim of choice', { upn: ' c.d@example.com ' }, 'upn', 'c.d@example.com'],
    ['a claim that is not there', {}, 'upn', undefined],
    ['a list', { upn: ['e@example.com'] }, 'upn', undefined],
    ['an object', { preferred_username: { name: 'f' } }, undefined, undefined],
    ['control characters', { preferred_username: 'g\u0000h' }, undefined, undefined],
    ['nothing', { preferred_username: undefined }, undefined, undefined],
  ])('the name from %s', async (_, claims, claim, expected) => {
    const { finish, goThere } = await world({
      claims,
      ...(claim !== undefined && { fields: { user_name_claim: claim } }),
    })
    expect(await finish(await goThere())).toMatchObject(
      expected === undefined
        ? { ok: false, reason: 'user_unknown', detail: expect.stringContaining('is not among the claims') }
        : { ok: true, user: { user_name: expected } },
    )
  })

  test('the sub names the user where that is wanted', async () => {
    const { finish, goThere, name } = await world({
      claims: { preferred_username: undefined },
      fields: { user_name_claim: 'sub' },
    })
    expect(await finish(await goThere())).toMatchObject({ ok: true, user: { user_name: name } })
  })

  test('without create_users they must be users already; a disabled one stays outside', async () => {
    const { finish, goThere, account, users, name } = await world({ fields: { create_users: false } })
    expect(await finish(await goThere())).toMatchObject({ reason: 'user_unknown' })
    const user = await account({ user_name: name.toUpperCase() })
    expect(await finish(await goThere())).toMatchObject({ ok: true, user: { id: user.id } })
    await users.update(user.id, { disabled: true }, ACT)
    expect(await finish(await goThere())).toMatchObject({ reason: 'user_disabled' })
  })

  test('an email that is not verified is kept nowhere', async () => {
    const { finish, goThere } = await world({ claims: { email: 'ceo@example.com' } })
    expect(await finish(await goThere())).toMatchObject({ ok: true, user: { email: null } })
  })

  test('the sub says who it is, and a user with a password is theirs by an administrator’s word alone', async () => {
    const { finish, goThere, provider, account, users, name, source, signin } = await world()
    const user = await account({ user_name: name, password: 'a local password' })
    const sign_in = { source_id: source.id, subject: name }
    expect(await finish(await goThere())).toMatchObject({
      ok: false,
      reason: 'user_unknown',
      detail: expect.stringContaining(
        `the user of this name has a password here. If they are the same person, set the user's sign_in to ${JSON.stringify(sign_in)}, or links_existing_users of the source`,
      ),
    })
    await users.update(user.id, { sign_in }, ACT)
    expect(await finish(await goThere())).toMatchObject({ ok: true, user: { id: user.id } })
    // Whatever they are called there from now on.
    provider.users.set(name, { password: PASSWORD, claims: { preferred_username: newName('married') } })
    expect(await finish(await goThere())).toMatchObject({ ok: true, user: { id: user.id, user_name: name } })
    await users.update(user.id, { sign_in: { ...sign_in, subject: 'another' } }, ACT)
    provider.users.set(name, { password: PASSWORD, claims: {} })
    expect(await finish(await goThere())).toMatchObject({
      detail: expect.stringContaining(`is linked to "${source.name}" as "another"`),
    })
    await signin.sources.update(source.id, { links_existing_users: true }, ACT)
    expect(await finish(await goThere())).toMatchObject({ ok: true, user: { id: user.id } })
  })

  test('of a source that is gone, or stands for another provider, the links are nobody else’s', async () => {
    const { finish, goThere, users, signin, source, provider } = await world()
    const first = await finish(await goThere())
    const user = first.ok ? first.user : undefined
    expect(user).toMatchObject({ sign_in_source_id: source.id })
    const fields = { issuer: provider.issuer, client_id: 'firstboot', client_secret: SECRET }
    const again = await signin.sources.create('oidc', { name: newName(), ...fields }, ACT)
    await signin.sources.remove(source.id, ACT)
    const other = { user_name: user?.user_name ?? '', subject: user?.sign_in_subject ?? '' }
    const rules = { creates: true, linksExisting: again.links_existing_users }
    const person = { ...other, sign_in: { source_id: again.id, subject: other.subject } }
    expect(await users.standingOf(person, rules)).toMatchObject({ is: 'taken' })
    await users.update(user?.id ?? '', { sign_in: { source_id: again.id, subject: other.subject } }, ACT)
    await signin.sources.update(again.id, { issuer: 'https://other.example.com' }, ACT)
    expect(await users.get(user?.id ?? '')).toMatchObject({
      sign_in_source_id: again.id,
      sign_in_subject: null,
    })
    await expect(
      users.update(user?.id ?? '', { sign_in: { source_id: 'local', subject: 'x' } }, ACT),
    ).rejects.toMatchObject({ code: 'invalid_request' })
  })
})

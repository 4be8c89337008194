import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { freePort } from '../../../src/simulator/free-port.ts'
import { type DirectoryUser, startFakeDirectory } from '../../../src/simulator/directories/fake-wstrust.ts'
import { mexAnswer } from '../../../src/simulator/directories/wstrust-answers.ts'
import { describeEachEngine } from '../../support/database.ts'
import { newAddress, newName, signinWorld } from './signin-world.ts'
import { ACT } from '../../support/act.ts'

/** For what comes at once, however busy the machine is. */

const PASSWORD = 'p&ss<wörd>"'

describeEachEngine('directories', (database) => {
  async function world(
    fields: { create_users?: boolean; applies_to?: string; way?: 'endpoint' | 'mex'; url?: string } = {},
  ) {
    const made = signinWorld(database())
    const tag = newName('tag')
    const person = (name: string, more: Partial<DirectoryUser> = {}): DirectoryUser => ({
      userName: `${name}.${tag}@example.com`,
      password: PASSWORD,
      ...more,
    })
    const people = {
      anna: person('Anna', { email: 'anna@example.com', displayName: 'Anna Ö' }),
      expired: person('expired', { state: 'expired' }),
      mustChange: person('change', { state: 'must_change' }),
      mfa: person('mfa', { state: 'mfa' }),
      locked: person('locked', { state: 'locked' }),
    }
    const directory = await startFakeDirectory({
      users: Object.values(people),
      clock: made.clock,
      // It is closed while the port is still asked for.
      port: await freePort(),
    })
    onTestFinished(() => directory.close())
    const { way = 'endpoint', ...rest } = fields
    const source = await made.signin.sources.create(
      'ws_trust',
      { name: newName('Company'), url: way === 'mex' ? directory.mex : directory.endpoint, ...rest },
      ACT,
    )
    const verify = (name: string, password = PASSWORD) => made.verify(name, password, { sourceId: source.id })
    const tryIt = (userName: string, password = PASSWORD) => made.trySource(userName, password, source.id)
    return { ...made, made, verify, tryIt, directory, people, source }
  }

  test.each(['endpoint', 'mex'] as const)('someone whom it vouches for becomes a user (%s)', async (way) => {
    const { verify, people, directory, emitted, users, db } = await world({ way })
    const { userName } = people.anna
    expect(await verify(userName.toUpperCase())).toMatchObject({
      ok: true,
      user: { user_name: userName, display_name: 'Anna Ö', email: 'anna@example.com', device_limit: null },
    })
    expect(emitted.at(-1)).toMatchObject({
      type: 'user.created',
      user_name: userName,
      act: { by: null, via: 'page', request_id: 'request-1' },
    })
    const [again, once] = await Promise.all([verify(userName), verify(userName.toLowerCase())])
    const user = await users.findByName(db.kysely, userName)
    expect([again, once]).toEqual([
      { ok: true, user },
      { ok: true, user },
    ])
    expect(emitted.filter(({ type }) => type === 'user.created')).toHaveLength(1)
    expect(directory.violations).toEqual([])
  })

  test('a user without password is who the directory says, and may be disabled; one with a password is not', async () => {
    const { verify, tryIt, people, account, users, source, signin } = await world()
    const { userName } = people.anna
    const user = await account({ user_name: userName.toUpperCase(), device_limit: 2 })
    const sign_in = { source_id: source.id, subject: userName.toLowerCase() }
    expect(await verify(userName)).toMatchObject({
      ok: true,
      user: { id: user.id, device_limit: 2, sign_in_subject: sign_in.subject },
    })
    await users.update(user.id, { disabled: true, must_change_password: true }, ACT)
    expect(await verify(userName)).toMatchObject({ reason: 'user_disabled' })
    await users.update(user.id, { disabled: false, sign_in: null, password: 'another one' }, ACT)
    const taken = `the user of this name has a password here. If they are the same person, set the user's sign_in to ${JSON.stringify(sign_in)}, or links_existing_users of the source`
    expect(await verify(userName)).toMatchObject({
      reason: 'user_unknown',
      detail: expect.stringContaining(taken),
    })
    expect(await tryIt(userName)).toMatchObject({
      ok: false,
      reason: 'user_unknown',
      message: expect.stringContaining(taken),
    })
    // An administrator may write the name as they like.
    await users.update(user.id, { sign_in: { ...sign_in, subject: userName.toUpperCase() } }, ACT)
    expect(await verify(userName)).toMatchObject({ ok: true, user: { id: user.id } })
    await users.update(user.id, { sign_in: null }, ACT)
    await signin.sources.update(source.id, { links_existing_users: true }, ACT)
    expect(await verify(userName)).toMatchObject({ ok: true, user: { id: user.id } })
  })

  test('without create_users only those who are users already get in', async () => {
    const { verify, people, account, source, emitted } = await world({ create_users: false })
    const { userName } = people.anna
    expect(await verify(userName)).toEqual({
      ok: false,
      reason: 'user_unknown',
      detail: `"${source.name}" vouches for ${userName}, who is no user here, and it makes none (create_users)`,
    })
    expect(emitted.map(({ type }) => type)).not.toContain('user.created')
    const user = await account({ user_name: userName })
    expect(await verify(userName)).toMatchObject({ ok: true, user: { id: user.id } })
  })

  test('each refusal has its reason, and no word of the password', async () => {
    const { verify, people, lines, emitted } = await world()
    const results = {
      wrong: await verify(people.anna.userName, 'wrong-p&ss'),
      unknown: await verify('nobody@example.com'),
      locked: await verify(people.locked.userName),
      expired: await verify(people.expired.userName),
      mustChange: await verify(people.mustChange.userName),
      mfa: await verify(people.mfa.userName),
    }
    expect(Object.entries(results).map(([name, result]) => [name, result.ok || result.reason])).toEqual([
      ['wrong', 'invalid_credentials'],
      ['unknown', 'invalid_credentials'],
      ['locked', 'invalid_credentials'],
      ['expired', 'password_expired'],
      ['mustChange', 'password_change_required'],
      ['mfa', 'mfa_required'],
    ])
    expect(JSON.stringify([results, lines, emitted])).not.toMatch(/p&ss|p&amp;ss/)
  })

  test('a directory in trouble is never a wrong password, and counts for nobody', async () => {
    const { verify, directory, people, signin, source } = await world()
    directory.setMode('down')
    for (let left = 0; left < 12; left += 1) {
      expect(await verify(people.anna.userName)).toMatchObject({
        reason: 'directory_unavailable',
        detail: expect.stringContaining('503'),
      })
    }
    directory.setMode('up')
    expect(await verify(people.anna.userName)).toMatchObject({ ok: true })
    await signin.sources.update(source.id, { applies_to: 'urn:other' }, ACT)
    expect(await verify(people.anna.userName)).toMatchObject({
      reason: 'directory_unavailable',
      detail: expect.stringContaining('applies_to'),
    })
    await directory.close()
    expect(await verify(people.anna.userName)).toMatchObject({
      reason: 'directory_unavailable',
      detail: expect.stringContaining('nothing listens there'),
    })
  })

  test('after ten wrong passwords from a network, in whatever spelling, the directory is not asked', async () => {
    const { made, directory, people, clock, source, tryIt } = await world()
    const { userName } = people.anna
    const [account = '', domain] = userName.split('@')
    const address = newAddress()
    const verify = (name: string, password: string) =>
      made.verify(name, password, { sourceId: source.id, address })
    const spellings = [
      userName,
      account,
      userName.toUpperCase(),
      `CORP\\${account}`,
      `corp/${account}`,
      `${account}.`,
      `${account}@other.example`,
      account.replace('a', 'á'),
      ` ${userName} `,
      `${account}\u200b@${domain}`,
      account.replace('A', '\uff21'),
      `${account}@${domain}.`,
      `x\\y\\${account}`,
      `.${account}`,
    ]
    const reasons = []
    for (const name of spellings) {
      const result = await verify(name, 'wrong')
      reasons.push(result.ok || result.reason)
    }
    expect(reasons.slice(0, 10)).toEqual(Array(10).fill('invalid_credentials'))
    expect(reasons.slice(10)).toEqual(Array(spellings.length - 10).fill('too_many_failures'))
    expect(directory.requests()).toBe(10)
    expect(await verify(userName, PASSWORD)).toMatchObject({
      reason: 'too_many_failures',
      retryAfterSeconds: 15,
    })
    expect(directory.requests()).toBe(10)
    // Somewhere else nothing is locked.
    const elsewhere = tryIt(userName)
    await expect
      .poll(() => {
        clock.advance(10)
        return directory.requests()
      })
      .toBe(11)
    expect(await elsewhere).toMatchObject({ ok: true })
    clock.advance(15_000)
    expect(await verify(userName, PASSWORD)).toMatchObject({ ok: true })
  })

  test('the tries of an administrator count too', async () => {
    const { signin, directory, people, source } = await world()
    const { userName } = people.anna
    const address = newAddress()
    const tryIt = (password: string) =>
      signin.trySource({ id: source.id, userName, password, address, requestId: 'r' })
    for (let left = 0; left < 10; left += 1) {
      expect(await tryIt('wrong')).toMatchObject({ reason: 'invalid_credentials' })
    }
    expect(await tryIt(PASSWORD)).toEqual({
      ok: false,
      reason: 'too_many_failures',
      message: expect.stringContaining('the next try counts in 15 s'),
    })
    expect(directory.requests()).toBe(10)
  })

  test('a directory that accepts and never answers delays no other one, nor local accounts', async () => {
    const { signin, verify, people, clock, made, account } = await world()
    let waiting = 0
    const silent = createServer(() => {
      waiting += 1
    })
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      silent.closeAllConnections()
      silent.close()
    })
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/usernamemixed`
    const { id: sourceId } = await signin.sources.create('ws_trust', { name: newName(), url }, ACT)
    const hanging = Array.from({ length: 100 }, () => made.verify(newName(), 'x', { sourceId }))
    await expect.poll(() => waiting).toBe(64)
    expect(await verify(people.anna.userName)).toMatchObject({ ok: true })
    const { user_name: name } = await account({ password: 'local-p&ss' })
    expect(await made.verify(name, 'local-p&ss')).toMatchObject({ ok: true })
    clock.advance(10_000)
    const results = await Promise.all(hanging)
    expect(new Set(results.map((result) => (result.ok ? 'ok' : result.reason)))).toEqual(
      new Set(['directory_unavailable']),
    )
    const details = results.map((result) => (result.ok ? '' : result.detail))
    expect(details.filter((detail) => detail.startsWith('busy: ')).length).toBe(36)
    expect(details.filter((detail) => /has not answered within 10 s/.test(detail)).length).toBe(64)
    // It counts for nobody, and the directory is there again.
    expect(await verify(people.anna.userName)).toMatchObject({ ok: true })
  })

  test('a try says in plain words what happened, and makes no user', async () => {
    const { tryIt, directory, people, users, db, signin, source, account } = await world({ way: 'mex' })
    const { userName } = people.anna
    const where = `${directory.endpoint} (found through ${directory.mex})`
    expect(await tryIt(userName)).toEqual({
      ok: true,
      reason: null,
      message: `${where} takes user name and password: ${userName} would become a user with the default device limit.`,
    })
    expect(await users.findByName(db.kysely, userName)).toBeUndefined()
    await signin.sources.update(source.id, { create_users: false }, ACT)
    expect(await tryIt(userName)).toMatchObject({
      ok: false,
      reason: 'user_unknown',
      message: expect.stringContaining('makes none'),
    })
    const user = await account({ user_name: userName })
    expect(await tryIt(userName)).toMatchObject({
      ok: true,
      message: expect.stringContaining(`this is ${userName}.`),
    })
    await users.update(user.id, { disabled: true }, ACT)
    expect(await tryIt(userName)).toMatchObject({ ok: false, reason: 'user_disabled' })
    expect(await tryIt(userName, 'wrong-p&ss')).toEqual({
      ok: false,
      reason: 'invalid_credentials',
      message: expect.stringMatching(/^http.*: The directory says FailedAuthentication/),
    })
    directory.setMode('down')
    expect(await tryIt(userName)).toMatchObject({
      ok: false,
      reason: 'directory_unavailable',
      message: expect.stringMatching(/^No endpoint was found through .*503/),
    })
  })

  test('a try names the other host to which a MEX document leads', async () => {
    const { directory, signin, trySource, people, clock } = await world()
    const elsewhere = await startFakeDirectory({ users: [], host: '127.0.0.2', clock })
    onTestFinished(() => elsewhere.close())
    const page = createServer((_, response) => response.end(mexAnswer(elsewhere.endpoint)))
    await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void page.close())
    const url = `http://127.0.0.1:${(page.address() as AddressInfo).port}/mex`
    const { id } = await signin.sources.create('ws_trust', { name: newName(), url }, ACT)
    const { host } = new URL(elsewhere.endpoint)
    const { message } = await trySource(people.anna.userName, 'x', id)
    expect(message).toContain(`${elsewhere.endpoint} (found through ${url}, on another host: ${host})`)
    expect(directory.requests()).toBe(0)
  })

  test('a try through the API: local accounts, pages instead of XML, names that do not exist', async () => {
    const { api, signin, account, lines } = signinWorld(database())
    const { call } = await api()
    const page = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<html>'))
    await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void page.close())
    const url = `http://127.0.0.1:${(page.address() as AddressInfo).port}/usernamemixed`
    const web = await signin.sources.create('ws_trust', { name: newName(), url }, ACT)
    const gone = await signin.sources.create(
      'ws_trust',
      { name: newName(), url: 'https://no-such-host.invalid/usernamemixed' },
      ACT,
    )
    const provider = await signin.sources.create(
      'oidc',
      { name: newName(), issuer: 'https://login.example.com', client_id: 'a', client_secret: 'b' },
      ACT,
    )
    const { user_name: name } = await account({ password: 'local-p&ss' })
    const tryAt = (id: string, password: string) =>
      call('POST', `/sign-in-sources/${id}/test`, { user_name: name, password })
    expect(await tryAt('local', 'local-p&ss')).toMatchObject({
      status: 200,
      body: { ok: true, reason: null, message: `The password of ${name} is right.` },
    })
    expect((await tryAt('local', 'other-p&ss')).body).toEqual({
      ok: false,
      reason: 'invalid_credentials',
      message: 'The password is wrong.',
    })
    expect((await tryAt(web.id, 'x')).body).toMatchObject({
      reason: 'directory_unavailable',
      message: expect.stringContaining('web page'),
    })
    expect((await tryAt(gone.id, 'x')).body).toMatchObject({
      reason: 'directory_unavailable',
      message: expect.stringMatching(/no-such-host\.invalid.*looked up/),
    })
    expect(await tryAt(provider.id, 'x')).toMatchObject({ status: 409, body: { code: 'conflict' } })
    expect((await tryAt('nothing', 'x')).status).toBe(404)
    expect(lines.join()).not.toContain('p&ss')
  })
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startFakeDirectory, startFakeOidc, type FakeDirectory } from '../../src/simulator/index.ts'
import { startAdeApp, type AdeApp, type Attempt } from '../support/ade-app.ts'
import { adeOperator } from '../support/ade-operator.ts'
import { openAgain, testDatabase, type TestDatabase } from '../support/database.ts'
import { testKey } from '../support/keys.ts'

// Whole servers with databases of their own: the limit is for what hangs, not for a busy machine.

const PASSWORD = 'right password'
const MINUTE = 60_000
const by = (userName: string, password: string) => ({ person: { userName, passwords: [password] } })
/** For phones that hear no push. */
const DEAF = { register: () => undefined, strays: () => 0 }
const reasons = ({ timeline }: Attempt) => timeline.flatMap(({ reason }) => reason ?? [])

describe('with a directory and a provider', () => {
  let database: TestDatabase
  let world: AdeApp
  let directory: FakeDirectory
  beforeAll(async () => {
    database = await testDatabase('postgres')
    world = await startAdeApp({ db: await openAgain(database) })
    const password = 'in the directory'
    directory = await startFakeDirectory({
      clock: world.clock,
      users: [
        { userName: 'dora@example.com', password },
        { userName: 'mfa@example.com', password, state: 'mfa' },
        { userName: 'expired@example.com', password, state: 'expired' },
        { userName: 'change@example.com', password, state: 'must_change' },
      ],
    })
  })
  afterAll(async () => {
    await world.close()
    await directory.close()
    await database.close()
  })

  test('natively a second factor, expired and must-change passwords are not possible, each named in the timeline', async () => {
    const source = await world.api('POST', '/sign-in-sources', {
      ...{ kind: 'ws_trust', name: 'AD FS', url: directory.mex },
    })
    expect(source.status).toBe(201)
    const policy = await world.policy({ user_affinity: 'prompt', sign_in_source_id: source.body.id })
    for (const [name, reason] of [
      ['mfa', 'mfa_required'],
      ['expired', 'password_expired'],
      ['change', 'password_change_required'],
      ['nobody', 'invalid_credentials'],
    ] as const) {
      const phone = await world.phone(policy, by(`${name}@example.com`, 'in the directory'))
      expect(await phone.powerOn()).toMatchObject({ outcome: 'refused', httpStatus: 401 })
      expect(reasons(await world.attemptOf(phone))).toEqual(['sign_in_required', reason])
      expect(await world.counted(reason)).toBeGreaterThan(0)
    }
    const right = await world.phone(policy, by('dora@example.com', 'in the directory'))
    expect((await right.powerOn()).outcome).toBe('enrolled')
    directory.setMode('down')
    const unlucky = await world.phone(policy, by('dora@example.com', 'in the directory'))
    expect(await unlucky.powerOn()).toMatchObject({ outcome: 'stuck', httpStatus: 503 })
    expect(reasons(await world.attemptOf(unlucky))).toEqual(['sign_in_required', 'directory_unavailable'])
    directory.setMode('up')
    expect(directory.violations).toEqual([])
  })

  test('on the web a second factor and a new password work, at the provider', async () => {
    const oidc = await startFakeOidc({
      ...{ clientId: 'firstboot', clientSecret: 'secret', key: testKey('other'), clock: world.clock },
      redirectUris: [`${world.url}/enroll/oidc/callback`],
      users: {
        olga: {
          ...{ password: PASSWORD, oneTimeCode: '123456', mustChangePassword: true },
          claims: { preferred_username: 'olga@example.com' },
        },
      },
    })
    const source = await world.api('POST', '/sign-in-sources', {
      ...{ kind: 'oidc', name: 'Provider', issuer: oidc.issuer, client_id: 'firstboot' },
      client_secret: 'secret',
    })
    const policy = await world.policy({
      ...{ user_affinity: 'prompt', sign_in_source_id: source.body.id },
      ade: { sign_in: 'web' },
    })
    const phone = await world.phone(policy, {
      person: {
        ...{
          userName: 'olga',
          passwords: [PASSWORD],
          oneTimeCode: '123456',
          newPassword: 'a fresh one here',
        },
      },
    })
    expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled', way: 'web' })
    expect((await world.attemptOf(phone)).user_name).toBe('olga@example.com')
    expect([phone.violations(), oidc.violations]).toEqual([[], []])
    await oidc.close()
  })
})

test('await_device_configured: a server that was restarted still owes the release at the deadline', async () => {
  const database = await testDatabase('postgres')
  const first = await startAdeApp({ db: await openAgain(database) })
  const policy = await first.policy({
    ade: { await_device_configured: true, configuration_deadline_minutes: 10 },
  })
  // A phone that is never ready for its first command: nothing but the deadline can release it.
  const phone = await first.phone(policy, {
    pushes: DEAF,
    mood: { notNow: 1 },
    configurationPatienceMs: 60 * MINUTE,
  })
  const going = phone.powerOn()
  await expect
    .poll(async () => (await first.api('GET', `/devices/${phone.facts.udid}`)).body?.state)
    .toBe('enrolled')
  const second = await startAdeApp({ db: await openAgain(database), with: first })
  await first.app.close()
  const admin = adeOperator(second)
  const released = async () =>
    (await database.kysely.selectFrom('setup_releases').selectAll().execute()).some(
      ({ configured_uuid: uuid }) => uuid !== null,
    )
  second.clock.advance(9 * MINUTE)
  for (let round = 0; round < 5; round++) await second.pass(2_000)
  expect(await released()).toBe(false)
  second.clock.advance(MINUTE)
  await admin.until(released, 1_000)
  const [owed] = await database.kysely.selectFrom('setup_releases').selectAll().execute()
  expect(owed).toMatchObject({ reason: 'deadline' })
  phone.erase()
  void going
  await second.close()
  await first.close().catch(() => undefined)
  await database.close()
})

import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { addTime, systemClock } from '../../../src/kernel/clock.ts'
import { createHttpClient } from '../../../src/kernel/http-client.ts'
import { checkPassword, discoverEndpoint } from '../../../src/protocol/wstrust/index.ts'
import { fitsXml } from '../../../src/protocol/xml/index.ts'
import { startFakeDirectory } from '../../../src/simulator/index.ts'
import type { DirectoryUser, FakeDirectory } from '../../../src/simulator/index.ts'

const AWKWARD = `s&<>"'cret ü€😀 ]]>\t`
const users: DirectoryUser[] = [
  {
    userName: 'alice@example.com',
    password: AWKWARD,
    email: 'a@example.com',
    displayName: 'Alice <&> Smith',
  },
  { userName: 'EXAMPLE\\bob', password: 'bob-secret' },
  ...(['locked', 'disabled', 'expired', 'must_change', 'mfa'] as const).map((state) => ({
    userName: `${state}@example.com`,
    password: 'right-one',
    state,
  })),
]

let directory: FakeDirectory
let old: FakeDirectory
const http = createHttpClient({
  timeoutMs: 10_000,
  maxBytes: 1024 * 1024,
  userAgent: 'x',
  clock: systemClock,
})

beforeAll(async () => {
  ;[directory, old] = await Promise.all([
    startFakeDirectory({ users }),
    startFakeDirectory({ users, saml: '1.1', appliesTo: 'urn:example' }),
  ])
})

afterAll(async () => {
  http.close()
  await Promise.all([directory.close(), old.close()])
})

beforeEach(() => directory.setMode('up'))

const check = (userName: string, password: string, changes: object = {}) =>
  checkPassword({
    endpoint: directory.endpoint,
    appliesTo: 'urn:federation:MicrosoftOnline',
    userName,
    password,
    http,
    clock: systemClock,
    ...changes,
  })

describe('against a strict directory', () => {
  test('the right password, whatever is in it', async () => {
    expect(await check('alice@example.com', AWKWARD)).toEqual({
      ok: true,
      subject: 'alice@example.com',
      userName: 'alice@example.com',
      email: 'a@example.com',
      displayName: 'Alice <&> Smith',
    })
    expect(directory.violations).toEqual([])
  })

  test('SAML 1.1 says the same', async () => {
    const changes = { endpoint: old.endpoint, appliesTo: 'urn:example' }
    expect(await check('alice@example.com', AWKWARD, changes)).toEqual({
      ok: true,
      subject: 'alice@example.com',
      userName: 'alice@example.com',
      email: 'a@example.com',
      displayName: 'Alice <&> Smith',
    })
    expect(old.violations).toEqual([])
  })

  test.each([
    ['alice@example.com', 'wrong', 'invalid_credentials'],
    ['nobody@example.com', 'wrong', 'invalid_credentials'],
    ['locked@example.com', 'right-one', 'invalid_credentials'],
    ['disabled@example.com', 'right-one', 'invalid_credentials'],
    ['expired@example.com', 'right-one', 'password_expired'],
    ['expired@example.com', 'wrong', 'invalid_credentials'],
    ['must_change@example.com', 'right-one', 'password_change_required'],
    ['mfa@example.com', 'right-one', 'mfa_required'],
  ])('%s with %s: %s', async (userName, password, reason) => {
    const result = await check(userName, password)
    expect(result).toMatchObject({ ok: false, reason })
    expect(JSON.stringify(result)).not.toContain('right-one')
    expect(directory.violations).toEqual([])
  })

  test('another relying party, clocks apart, and a directory that is down are not about the password', async () => {
    expect(await check('alice@example.com', AWKWARD, { appliesTo: 'urn:other' })).toMatchObject({
      reason: 'directory_unavailable',
      detail: expect.stringContaining('compare applies_to') as string,
    })
    const late = { ...systemClock, now: () => addTime(new Date(), 20, 'minute') }
    expect(await check('alice@example.com', AWKWARD, { clock: late })).toMatchObject({
      reason: 'directory_unavailable',
      detail: expect.stringContaining('clocks') as string,
    })
    directory.setMode('down')
    expect(await check('alice@example.com', AWKWARD)).toMatchObject({
      reason: 'directory_unavailable',
      detail: expect.stringContaining('503') as string,
    })
  })

  test('what cannot be right is not asked', async () => {
    const before = directory.requests()
    for (const [userName, password] of [
      ['', 'x'],
      ['alice@example.com', ''],
      ['alice@example.com', 'a\u0000b'],
      ['alice@example.com', '\uD800'],
      ['alice@example.com', 'x'.repeat(2000)],
    ] as const) {
      expect(await check(userName, password)).toMatchObject({ reason: 'invalid_credentials' })
    }
    expect(directory.requests()).toBe(before)
  })

  test('any password that XML can carry arrives as it is', async () => {
    const passwords = fc.string({ minLength: 1, maxLength: 40, unit: 'binary' })
    await fc.assert(
      fc.asyncProperty(
        passwords.filter((text) => fitsXml(text) && text.trim() !== ''),
        async (password) => {
          const one = await startFakeDirectory({ users: [{ userName: 'u@x', password }] })
          const result = await check('u@x', password, { endpoint: one.endpoint })
          await one.close()
          expect([result.ok, one.violations]).toEqual([true, []])
        },
      ),
      { numRuns: 40 },
    )
  })
})

describe('discovery', () => {
  test('the endpoint itself costs no request', async () => {
    const url = 'https://fs.example.com/adfs/services/trust/13/UsernameMixed'
    expect(await discoverEndpoint({ url, http })).toEqual({ ok: true, endpoint: url, source: 'given' })
  })

  test('a MEX document names the one of WS-Trust 1.3', async () => {
    expect(await discoverEndpoint({ url: directory.mex, http })).toEqual({
      ok: true,
      endpoint: directory.endpoint,
      source: 'mex',
    })
  })

  test('nothing there', async () => {
    directory.setMode('down')
    expect(await discoverEndpoint({ url: directory.mex, http })).toMatchObject({
      reason: 'directory_unavailable',
      detail: expect.stringContaining('503') as string,
    })
    expect(await discoverEndpoint({ url: 'http://127.0.0.1:1/mex', http })).toMatchObject({
      reason: 'directory_unavailable',
    })
    expect(await discoverEndpoint({ url: 'http://fs.example.com/mex', http })).toMatchObject({
      detail: expect.stringContaining('https is needed') as string,
    })
  })
})

import { createHash, createPublicKey, randomBytes, verify } from 'node:crypto'
import type { JsonWebKey } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startFakeOidc } from '../../src/simulator/index.ts'
import type { FakeOidc, OidcTrouble } from '../../src/simulator/index.ts'
import { testKey } from '../support/keys.ts'
import { manualClock } from '../support/manual-clock.ts'
import { usePhoneStage } from './phone-stage.ts'
import type { Arrival, Said } from './phone-stage.ts'

const stage = usePhoneStage()
const CLIENT = { clientId: 'firstboot', clientSecret: 's:ecret' }
const clock = manualClock()
const callback = () => `${stage.front}/callback`
let oidc: FakeOidc

beforeAll(async () => {
  oidc = await startFakeOidc({ ...CLIENT, redirectUris: [callback()], key: testKey('other'), clock })
})
beforeEach(() => {
  oidc.users.clear()
  oidc.users.set('alice', { password: 'right', claims: { email: 'alice@example.com' } })
  ;(oidc.violations as string[]).length = 0
})
afterAll(() => oidc.close())

/** A client of its own, as right as can be. */
const client = {
  state: '',
  nonce: '',
  verifier: '',
  authorizeUrl(changes: Record<string, string> = {}): string {
    client.state = randomBytes(16).toString('base64url')
    client.nonce = randomBytes(16).toString('base64url')
    client.verifier = randomBytes(32).toString('base64url')
    const query = new URLSearchParams({
      ...{ client_id: 'firstboot', redirect_uri: callback(), response_type: 'code', scope: 'openid email' },
      ...{ state: client.state, nonce: client.nonce, code_challenge_method: 'S256' },
      code_challenge: createHash('sha256').update(client.verifier).digest('base64url'),
      ...changes,
    })
    return `${oidc.issuer}/authorize?${query.toString()}`
  },
  exchange: (code: string, changes: Record<string, string> = {}, secret = 's%3Aecret') =>
    fetch(`${oidc.issuer}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`firstboot:${secret}`).toString('base64')}` },
      body: new URLSearchParams({
        ...{ grant_type: 'authorization_code', code, redirect_uri: callback() },
        code_verifier: client.verifier,
        ...changes,
      }),
    }),
}

/** Signs in as alice and gives what the client is sent back with. */
async function signIn(): Promise<URLSearchParams> {
  const html = await (await fetch(client.authorizeUrl())).text()
  const transaction = /name="transaction" value="([^"]+)"/.exec(html)?.[1] ?? ''
  const answer = await fetch(`${oidc.issuer}/login`, {
    method: 'POST',
    redirect: 'manual',
    body: new URLSearchParams({ transaction, username: 'alice', password: 'right' }),
  })
  return new URL(answer.headers.get('location') ?? '').searchParams
}

const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>

async function isSigned(token: string): Promise<boolean> {
  const { keys } = (await (await fetch(`${oidc.issuer}/jwks`)).json()) as { keys: JsonWebKey[] }
  const [header, payload, signature = ''] = token.split('.')
  const key = createPublicKey({ key: keys[0]!, format: 'jwk' })
  return verify('sha256', Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url'))
}

describe('the provider', () => {
  test('says where everything is', async () => {
    const answer = await fetch(`${oidc.issuer}/.well-known/openid-configuration`)
    expect(await answer.json()).toMatchObject({
      issuer: oidc.issuer,
      token_endpoint: `${oidc.issuer}/token`,
      code_challenge_methods_supported: ['S256'],
    })
  })

  test('gives a signed token for a code, once', async () => {
    const back = await signIn()
    expect(back.get('state')).toBe(client.state)
    expect(back.get('iss')).toBe(oidc.issuer)
    const code = back.get('code') ?? ''
    const tokens = (await (await client.exchange(code)).json()) as { id_token: string; access_token: string }
    expect(claimsOf(tokens.id_token)).toMatchObject({
      ...{
        iss: oidc.issuer,
        aud: 'firstboot',
        sub: 'alice',
        nonce: client.nonce,
        email: 'alice@example.com',
      },
    })
    expect(await isSigned(tokens.id_token)).toBe(true)
    const info = await fetch(`${oidc.issuer}/userinfo`, {
      headers: { authorization: `Bearer ${tokens.access_token}` },
    })
    expect(await info.json()).toMatchObject({ sub: 'alice' })
    expect(oidc.violations).toEqual([])
    expect((await client.exchange(code)).status).toBe(400)
    expect(oidc.violations).toEqual(['token: the code was used before'])
  })

  test.each([
    [{ client_id: 'x' }, 400, 'client_id is not known'],
    [{ redirect_uri: 'http://127.0.0.1/evil' }, 400, 'redirect_uri is not one of those registered'],
    [{ response_type: 'token' }, 302, 'response_type is not code'],
    [{ scope: 'email' }, 302, 'scope does not hold openid'],
    [{ state: 'short' }, 302, 'state is missing or too short'],
    [{ nonce: '' }, 302, 'nonce is missing or too short'],
    [{ code_challenge_method: 'plain' }, 302, 'no PKCE with S256'],
  ])('refuses a request with %j', async (changes, status, problem) => {
    const answer = await fetch(client.authorizeUrl(changes), { redirect: 'manual' })
    expect(answer.status).toBe(status)
    expect(oidc.violations).toEqual([`authorize: ${problem}`])
  })

  test.each<[Record<string, string>, string | undefined, string]>([
    [{}, 'other', 'wrong client secret'],
    [{ grant_type: 'password' }, undefined, 'wrong grant_type'],
    [{ code: 'x' }, undefined, 'the code is not known'],
    [{ redirect_uri: 'http://127.0.0.1/' }, undefined, 'another redirect_uri'],
    [{ code_verifier: 'x'.repeat(43) }, undefined, 'the code_verifier does not fit the code_challenge'],
  ])('refuses a token request with %j', async (changes, secret, problem) => {
    const code = (await signIn()).get('code') ?? ''
    expect((await client.exchange(code, changes, secret)).status).toBeGreaterThanOrEqual(400)
    expect(oidc.violations).toEqual([`token: ${problem}`])
  })

  test('a code lives five minutes', async () => {
    const code = (await signIn()).get('code') ?? ''
    clock.advance(301_000)
    expect((await client.exchange(code)).status).toBe(400)
    expect(oidc.violations).toEqual(['token: the code has expired'])
  })

  test.each<
    [OidcTrouble, (claims: Record<string, unknown>, signed: boolean, state: string | null) => boolean]
  >([
    ['wrong_state', (_, __, state) => state !== client.state],
    ['wrong_nonce', ({ nonce }) => nonce !== client.nonce],
    ['wrong_issuer', ({ iss }) => iss !== oidc.issuer],
    ['wrong_audience', ({ aud }) => aud !== 'firstboot'],
    ['wrong_signature', (_, signed) => !signed],
    ['unsigned', (_, signed) => !signed],
    ['expired', ({ exp }) => Number(exp) < clock.now().getTime() / 1000],
  ])('can be made to be wrong: %s', async (trouble, isWrong) => {
    oidc.script(trouble)
    const back = await signIn()
    const { id_token: token } = (await (await client.exchange(back.get('code') ?? '')).json()) as {
      id_token: string
    }
    expect(isWrong(claimsOf(token), await isSigned(token), back.get('state'))).toBe(true)
  })

  test('or to be out of order', async () => {
    oidc.script('unavailable', 'html')
    expect((await client.exchange((await signIn()).get('code') ?? '')).status).toBe(503)
    const page = await client.exchange((await signIn()).get('code') ?? '')
    expect(page.headers.get('content-type')).toContain('text/html')
  })
})

describe('a phone that signs in there', () => {
  const desk = async ({ url }: Arrival): Promise<Said> => {
    if (url.pathname === '/web') return { status: 302, headers: { location: client.authorizeUrl() } }
    const code = url.searchParams.get('code')
    const isGood = code !== null && (await client.exchange(code)).status === 200
    if (isGood) return stage.profile()
    const title = url.searchParams.get('error') ?? 'no code'
    return { status: 403, headers: { 'content-type': 'text/html' }, body: `<h1>${title}</h1>` }
  }
  const powerOn = async (person: object) => {
    stage.desk = desk
    const phone = await stage.phone(
      { configuration_web_url: `${stage.front}/web` },
      { person: { userName: 'alice', passwords: ['wrong', 'right'], ...person } },
    )
    return phone.powerOn()
  }

  test('follows the pages, second factor and new password included', async () => {
    oidc.users.set('alice', { password: 'right', oneTimeCode: '123456', mustChangePassword: true })
    expect(await powerOn({ oneTimeCode: '123456', newPassword: 'better' })).toMatchObject({
      ...{ outcome: 'enrolled', way: 'web', signInTries: 2 },
    })
    expect(oidc.users.get('alice')).toMatchObject({ password: 'better', mustChangePassword: false })
    expect(oidc.violations).toEqual([])
  })

  test('gives up at the second factor without a phone of its own', async () => {
    oidc.users.set('alice', { password: 'right', oneTimeCode: '123456' })
    expect(await powerOn({})).toMatchObject({ outcome: 'refused', screen: 'Sign in', signInTries: 2 })
  })

  test('may cancel', async () => {
    oidc.script('denied')
    expect(await powerOn({})).toMatchObject({ outcome: 'refused', screen: 'access_denied', httpStatus: 403 })
  })
})

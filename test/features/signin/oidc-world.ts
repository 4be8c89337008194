import { expect, onTestFinished } from 'vitest'
import type { Db } from '../../../src/db/index.ts'
import { freePort } from '../../../src/simulator/free-port.ts'
import { type OidcTrouble, startFakeOidc } from '../../../src/simulator/index.ts'
import { testKey } from '../../support/keys.ts'
import { newName, signinWorld } from './signin-world.ts'
import { ACT } from '../../support/act.ts'

export const PUBLIC_URL = 'https://mdm.example.com'
export const SECRET = 'the-client-secret:of these tests'
export const PASSWORD = 'password-at-the-provider'

/** Signing in at a provider of the test's own, where one person has an account. */
export async function oidcWorld(
  db: Db,
  options: {
    claims?: Record<string, unknown>
    fields?: { create_users?: boolean; user_name_claim?: string; client_secret?: string; scopes?: string[] }
  } = {},
) {
  const made = signinWorld(db, { publicUrl: PUBLIC_URL })
  const name = newName('anna')
  const provider = await startFakeOidc({
    clientId: 'firstboot',
    clientSecret: SECRET,
    redirectUris: [`${PUBLIC_URL}/enroll/oidc/callback`],
    key: testKey('other'),
    clock: made.clock,
    // It is closed while the port is still asked for.
    port: await freePort(),
    users: {
      [name]: { password: PASSWORD, ...(options.claims && { claims: options.claims }) },
    },
  })
  onTestFinished(() => provider.close())
  const { signin } = made
  const source = await signin.sources.create(
    'oidc',
    {
      name: newName('Company'),
      issuer: provider.issuer,
      client_id: 'firstboot',
      client_secret: SECRET,
      ...options.fields,
    },
    ACT,
  )
  const { session } = await signin.sessions.open({ attempt: 'a-1' })
  const start = () => signin.oidc.start({ sourceId: source.id, session })
  const finish = (query: URLSearchParams, at: typeof session | undefined = session) =>
    signin.oidc.finish({ session: at, query, requestId: 'request-7' })
  /** Goes through the provider's pages and gives what it sends the browser back with. */
  const goThere = async (...troubles: OidcTrouble[]) => {
    provider.script(...troubles)
    const started = await start()
    if (!started.ok) throw new Error(started.detail)
    return signInThere(started.url, name)
  }
  return { ...made, name, provider, source, session, start, finish, goThere }
}

/** Fills in the form of the provider's page; the query of the redirect that follows. */
async function signInThere(url: string, username: string): Promise<URLSearchParams> {
  const page = await fetch(url, { redirect: 'manual' })
  const transaction = /name="transaction" value="([^"]+)"/.exec(await page.text())?.[1] ?? ''
  const answer =
    page.status === 302
      ? page
      : await fetch(new URL('/login', url), {
          method: 'POST',
          redirect: 'manual',
          body: new URLSearchParams({ transaction, username, password: PASSWORD }),
        })
  const location = answer.headers.get('location') ?? ''
  expect(location).toMatch(/^https:\/\/mdm\.example\.com\/enroll\/oidc\/callback\?/)
  return new URL(location).searchParams
}

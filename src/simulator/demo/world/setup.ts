import { addTime } from '../../../kernel/clock.ts'
import type { DemoApi } from './api.ts'
import { addContents } from './contents.ts'
import { OIDC_CLIENT, type Fakes } from './fakes.ts'
import { localAccounts } from './people.ts'
import { POLICIES, type PolicyName, type SourceIds } from './policies.ts'
import type { Act, Actor, Setup } from './stage.ts'

/** The name of the server in Apple's portal. */
export const PORTAL_SERVER = 'Firstboot demo'

interface SetupDeps {
  api: DemoApi
  fakes: Fakes
  url: string
  acts: readonly Act[]
  actors: readonly Actor[]
  /** Tells of a call, and of what came of it. */
  told: (call: string, result: string) => void
}

const NAMES = Object.keys(POLICIES) as PolicyName[]
const SHORT_MINUTES = 10

/** Makes everything over the operator API, as an administrator would; all but the push certificate. */
export async function setUp(deps: SetupDeps): Promise<Setup> {
  const adeServerId = await connectApple(deps)
  const sources = await addSources(deps)
  await addPeople(deps)
  const policies = await addPolicies(deps, sources)
  await addContents(deps, policies.kiosk)
  await assign(deps, adeServerId, policies)
  return { adeServerId, policies, links: await addLinks(deps) }
}

/** The key to Apple, the token back, the first sync. */
async function connectApple({ api, fakes, acts, actors, told }: SetupDeps): Promise<string> {
  const { id } = await api.call('POST', '/ade-servers', { name: PORTAL_SERVER })
  const certificatePem = await api.call('GET', `/ade-servers/${id}/encryption-key`)
  told('GET  /ade-servers/{id}/encryption-key', 'the .pem for Apple')
  const p7m = fakes.ade.portal.addServer({ name: PORTAL_SERVER, certificatePem })
  const ours = new Set(acts.filter(({ policy }) => policy !== undefined).map(({ phone }) => phone))
  const bought = actors.filter(({ number }) => ours.has(number))
  fakes.ade.portal.addDevices(
    bought.map(({ phone, model }) => ({
      serialNumber: phone.facts.serialNumber,
      model,
      deviceFamily: 'iPhone',
    })),
    PORTAL_SERVER,
  )
  await api.call('PUT', `/ade-servers/${id}/token?apple_id=admin@example.com`, p7m, 'application/pkcs7-mime')
  told('PUT  /ade-servers/{id}/token', 'the .p7m that the fake portal made of it')
  const server = await api.until(`/ade-servers/${id}`, ({ sync }) => sync.last?.state === 'succeeded')
  told('GET  /ade-servers/{id}', `first sync done by itself: ${server.sync.last.seen} serial numbers`)
  return id
}

async function addSources({ api, fakes, url, told }: SetupDeps): Promise<SourceIds> {
  const { mex } = fakes.directory
  const directory = await api.call('POST', '/sign-in-sources', { kind: 'ws_trust', name: 'AD FS', url: mex })
  const { clientId: client_id, clientSecret: client_secret } = OIDC_CLIENT
  fakes.provider.redirectUris.push(`${url}/enroll/oidc/callback`)
  const provider = await api.call('POST', '/sign-in-sources', {
    kind: 'oidc',
    name: 'Example ID',
    issuer: fakes.provider.issuer,
    client_id,
    client_secret,
  })
  told('POST /sign-in-sources', 'a directory (WS-Trust 1.3) and an OpenID provider')
  return { directory: directory.id, provider: provider.id }
}

async function addPeople({ api, fakes, told }: SetupDeps): Promise<void> {
  const accounts = localAccounts(addTime(fakes.clock.now(), -1, 'day'))
  for (const account of accounts) await api.call('POST', '/users', account)
  told('POST /users', `${accounts.length} people with an account of this server`)
}

async function addPolicies({ api, told }: SetupDeps, sources: SourceIds): Promise<Setup['policies']> {
  const made: Partial<Setup['policies']> = {}
  for (const name of NAMES) {
    const document = POLICIES[name].document(sources)
    made[name] = (await api.call('POST', '/enrollment-policies', document)).id
    told('POST /enrollment-policies', `${document.name}: ${POLICIES[name].summary}`)
  }
  return made as Setup['policies']
}

async function addLinks({ api, fakes, told }: SetupDeps): Promise<Setup['links']> {
  const expires_at = addTime(fakes.clock.now(), SHORT_MINUTES, 'minute').toISOString()
  const short = await api.call('POST', '/enrollment-links', { uses: 5, expires_at })
  const single = await api.call('POST', '/enrollment-links', { uses: 1, user_name: 'karin' })
  told('POST /enrollment-links', 'one for ten minutes, one for one phone')
  return { short: short.url, single: single.url }
}

/** The policies to the serial numbers, and Apple has to know. */
async function assign(
  { api, acts, actors, told }: SetupDeps,
  adeServerId: string,
  policies: Setup['policies'],
): Promise<void> {
  const wanted = acts.flatMap(({ phone, policy }) => {
    const serial = actors.find(({ number }) => number === phone)?.phone.facts.serialNumber
    return policy === undefined || serial === undefined ? [] : [{ policy, serial }]
  })
  for (const name of NAMES) {
    const serials = wanted.filter(({ policy }) => policy === name).map(({ serial }) => serial)
    await api.call(
      'POST',
      `/enrollment-policies/${policies[name]}/assign`,
      `${serials.join('\n')}\n`,
      'text/csv',
    )
  }
  await api.call('PUT', `/ade-servers/${adeServerId}/default-policy`, { policy_id: policies.shared })
  await api.until('/ade-devices?limit=1000', ({ items }) =>
    items.every((each: { assignment: { state: string } | null }) => each.assignment?.state === 'assigned'),
  )
  told('POST /enrollment-policies/{id}/assign', `${wanted.length} serial numbers; Apple has taken them all`)
}

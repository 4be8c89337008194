import { createAttempts, createStrangers } from '../../src/features/attempts/index.ts'
import { attemptsApi } from '../../src/features/attempts/api.ts'
import { createDeviceIdentity } from '../../src/features/device-identity/index.ts'
import { createLinks, linkRoutes, linksApi } from '../../src/features/entry/index.ts'
import { createIdempotencyKeys, type Role } from '../../src/features/operators/index.ts'
import { createHttp } from '../../src/http/index.ts'
import type { Db } from '../../src/db/index.ts'
import { addTime } from '../../src/kernel/clock.ts'
import { keyToPem, writePem } from '../../src/protocol/x509/index.ts'
import { openAttempt } from './open-attempt.ts'
import { testCa } from './identities.ts'
import { identityWorld, type TestClock, type World } from './identity-world.ts'
import { peopleOf } from './people.ts'

export const TOPIC = 'com.apple.mgmt.External.11111111-2222-3333-4444-555555555555'
export const PUBLIC_URL = 'https://mdm.example.com'

/** The parts by which a device gets its certificate, behind the real HTTP scopes. */
export type IdentityServer = Awaited<ReturnType<typeof identityServer>>

/** Makes them on a database, as one process would; the CA is the tests' own, so that no key need be made. */
export async function identityServer(db: Db, options: { clock?: TestClock; ownCa?: boolean } = {}) {
  const world = identityWorld(db, options.clock)
  const deps = { ...world, secretBox: world.box }
  const attempts = createAttempts(deps)
  const strangers = createStrangers(deps)
  const deviceCa = options.ownCa ? null : await importedCa()
  const identity = createDeviceIdentity({ ...deps, attempts, strangers, deviceCa })
  await identity.authority.ready()
  const { users } = peopleOf(deps)
  const groups = { hold: async () => undefined }
  const links = createLinks({ ...deps, users, groups, publicUrl: PUBLIC_URL })
  const push: { topic: string | null } = { topic: TOPIC }
  const routes = linkRoutes({
    ...deps,
    strangers,
    users,
    identity,
    links,
    publicUrl: PUBLIC_URL,
    instanceId: 'instance-1',
    currentTopic: async () => push.topic,
  })
  const http = await createHttp({
    config: httpConfig,
    version: '0.0.0',
    ...deps,
    authenticate: async (secret) => ({
      kind: 'api_token',
      id: 'token-1',
      name: 'test',
      role: secret as Role,
      makers: [],
    }),
    prove: identity.prove,
    idempotencyKeys: createIdempotencyKeys(deps),
    audit: { complete: async () => undefined, count: async () => undefined },
    callsPerSecond: async () => 1_000,
    ready: async () => [],
    scopes: {
      device: [identity.routes],
      enroll: [routes],
      operator: [linksApi({ links }), attemptsApi({ attempts })],
      nanomdm: [],
    },
  })
  return { ...world, attempts, strangers, identity, users, links, push, http, issued, challengeFor, close }

  /** Opens an attempt and gives it a challenge. */
  async function challengeFor(facts: { serial_number?: string } = {}) {
    return db.transaction(async (trx) => {
      const deadline = addTime(world.clock.now(), 60, 'minute')
      const attemptId = await openAttempt(trx, world.clock, { way: 'link', deadline, ...facts })
      return { attemptId, challenge: await identity.newChallenge(trx, { attemptId, ...facts }) }
    })
  }

  /** What was issued and for whom; undefined for a certificate that is not of our making. */
  async function issued(fingerprint: Buffer) {
    return db.kysely
      .selectFrom('issued_certificates')
      .selectAll()
      .where('fingerprint', '=', fingerprint)
      .executeTakeFirst()
  }

  async function close(): Promise<void> {
    await http.close(0)
    await identity.close()
  }
}

const httpConfig = {
  listener: { host: '127.0.0.1', port: 0 },
  operatorListener: null,
  publicUrl: 'http://127.0.0.1:8080',
  tls: null,
  trustedProxies: [],
  clientCertHeader: null,
}

/** The tests' CA as a file to import would give it. */
export async function importedCa() {
  const { certificate, key } = await testCa()
  return { certificatePem: writePem('CERTIFICATE', certificate.der), keyPem: keyToPem(key) }
}

export type { World }

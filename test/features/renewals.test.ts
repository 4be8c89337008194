import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase, type Db } from '../../src/db/index.ts'
import type { Certificate, Identity } from '../../src/protocol/x509/index.ts'
import { describeEachEngine, testDatabase, type TestDatabase } from '../support/database.ts'
import { identityServer, type IdentityServer } from '../support/identity-server.ts'
import { identityWorld } from '../support/identity-world.ts'
import { testKey } from '../support/keys.ts'
import { momentary, scepRequest, type ScepRequest } from '../support/scep-client.ts'

const fingerprint = (certificate: Certificate) => Buffer.from(certificate.fingerprint, 'hex')
/** After so many days of a year the last third has begun. */
const LATE_DAYS = 245

type Names = 'device' | 'other'

/** What a test does with the enrollments of a server. */
function actions(server: () => IdentityServer) {
  const bindings = async (enrollmentId: string) =>
    server()
      .db.kysely.selectFrom('enrollment_certificates')
      .select(['fingerprint', 'state', 'use', 'renewal'])
      .where('enrollment_id', '=', enrollmentId)
      .execute()
  return {
    bindings,
    /** The certificates with which it may speak. */
    async active(enrollmentId: string): Promise<Set<string>> {
      const rows = await bindings(enrollmentId)
      return new Set(
        rows.filter(({ state }) => state === 'active').map((row) => row.fingerprint.toString('hex')),
      )
    },
    async enrolled(enrollmentId: string): Promise<Identity> {
      const { challenge } = await server().challengeFor()
      const { certificate } = await scepRequest(server(), { challenge })
      await server().db.transaction((trx) =>
        server().identity.bind(trx, {
          enrollmentId,
          fingerprint: fingerprint(certificate!),
          renewal: false,
        }),
      )
      return { certificate: certificate!, key: testKey('device') }
    },
    challenge: (enrollmentId: string) =>
      server().db.transaction((trx) => server().identity.newChallenge(trx, { enrollmentId })),
    /** A renewal by an identity; each has another key, if only by name. */
    async renew(signer: Identity, request: ScepRequest & { by?: never; name?: Names } = {}) {
      const { name = 'other', ...rest } = request
      const key = testKey(name)
      const { certRep, certificate } = await scepRequest(server(), { signer, key, ...rest })
      return { certRep, certificate, identity: certificate && { certificate, key } }
    },
    /** That the enrollment has spoken with it. */
    speak: (enrollmentId: string, { certificate }: Identity) =>
      server().identity.noteUse(server().db.kysely, enrollmentId, fingerprint(certificate)),
  }
}

const idsOf = (...identities: (Identity | undefined)[]) =>
  new Set(identities.map((identity) => identity?.certificate.fingerprint))

describeEachEngine('renewals', (database) => {
  let server: IdentityServer
  beforeAll(async () => {
    server = await identityServer(database())
  })
  afterAll(() => server.close())
  const { active, bindings, challenge, enrolled, renew, speak } = actions(() => server)

  const countOf = async (table: 'issued_certificates' | 'event_outbox', enrollmentId: string) => {
    const rows = await database()
      .kysely.selectFrom(table)
      .select('enrollment_id')
      .where('enrollment_id', '=', enrollmentId)
      .execute()
    return rows.length
  }

  test.each(['RenewalReq', 'UpdateReq', 'PKCSReq'] as const)(
    'a %s that nobody asked for is too early before the last third',
    async (type) => {
      const id = `EARLY-${type}`
      const first = await enrolled(id)
      for (const days of [0, 100, 143]) {
        server.clock.advance(days, 'day')
        const { certRep } = await renew(first, { type })
        expect(certRep).toMatchObject({
          status: 'FAILURE',
          failInfo: 'badRequest',
          failInfoText: 'a certificate is renewed in the last third of its life',
        })
        const told = { reason: 'csr_rejected', detail: 'renewal_too_early', enrollment_id: id }
        expect(server.logged('certificate.refused', told)).toBe(true)
      }
      expect(await bindings(id)).toHaveLength(1)
      expect(await countOf('issued_certificates', id)).toBe(0)
      server.clock.advance(2, 'day')
      expect((await renew(first, { type })).certRep?.status).toBe('SUCCESS')
    },
  )

  test('by a challenge of ours it is good at any time, signed with the identity or not', async () => {
    const first = await enrolled('ASKED')
    for (const request of [
      { type: 'RenewalReq', signer: first },
      { type: 'PKCSReq', signer: first },
      { type: 'PKCSReq', signer: await momentary(testKey('other')) },
    ] as const) {
      const { certificate } = await scepRequest(server, {
        ...request,
        challenge: await challenge('ASKED'),
        key: testKey('other'),
      })
      expect([...(await active('ASKED'))]).toContain(certificate?.fingerprint)
    }
    expect(await active('ASKED')).toHaveLength(2)
  })

  test('the challenge of another enrollment, or a wrong or an expired one, does not count', async () => {
    const first = await enrolled('D11')
    const another = await challenge('ANOTHER')
    const { challenge: used } = await server.challengeFor()
    await scepRequest(server, { challenge: used, key: testKey('device') })
    for (const secret of ['wrong', '', another, used]) {
      const { certRep } = await renew(first, { challenge: secret })
      expect({ secret, text: certRep?.failInfoText }).toEqual({
        secret,
        text: 'a certificate is renewed in the last third of its life',
      })
    }
    server.clock.advance(LATE_DAYS, 'day')
    const { certificate } = await renew(first, { challenge: 'wrong' })
    expect(await server.identity.bindings(server.db.kysely, fingerprint(certificate!))).toMatchObject([
      { enrollment_id: 'D11', state: 'active', use: 'unused' },
    ])
    // Nothing of the other one's was used up.
    expect((await challengeState(another))?.certificate).toBeNull()
  })

  const challengeState = async (secret: string) => {
    const { createHash } = await import('node:crypto')
    return database()
      .kysely.selectFrom('scep_challenges')
      .selectAll()
      .where('hash', '=', createHash('sha256').update(secret).digest())
      .executeTakeFirst()
  }

  test('the challenge of an attempt makes an attempt, whoever signs', async () => {
    const first = await enrolled('REENROLS')
    const { attemptId, challenge: secret } = await server.challengeFor()
    const { certificate } = await renew(first, { challenge: secret })
    expect(await server.issued(fingerprint(certificate!))).toMatchObject({ attempt_id: attemptId })
  })

  test('a further one takes the place of the newest that has never spoken', async () => {
    const first = await enrolled('UNUSED')
    server.clock.advance(LATE_DAYS, 'day')
    let last: Identity | undefined
    for (let time = 0; time < 6; time++) {
      server.clock.advance(16, 'minute')
      const { identity } = await renew(first, { name: time % 2 === 0 ? 'other' : 'device' })
      expect(identity?.certificate.fingerprint).not.toBe(last?.certificate.fingerprint)
      last = identity
      expect(await active('UNUSED')).toEqual(idsOf(first, last))
    }
    // What was overtaken is gone, and few events are kept of it.
    expect(await bindings('UNUSED')).toHaveLength(2)
    expect(await countOf('issued_certificates', 'UNUSED')).toBe(1)
    expect(await countOf('event_outbox', 'UNUSED')).toBeLessThan(4)
  })

  test('one that has spoken takes the place of the oldest, and is itself too young to be renewed', async () => {
    const first = await enrolled('USED')
    server.clock.advance(LATE_DAYS, 'day')
    const second = (await renew(first)).identity!
    await speak('USED', second)
    for (const signer of [first, second]) {
      expect((await renew(signer, { name: 'device' })).certRep?.failInfo).toBe('badRequest')
      expect(await active('USED')).toEqual(idsOf(first, second))
    }
    server.clock.advance(LATE_DAYS, 'day')
    const third = (await renew(second, { name: 'device' })).identity
    expect(await active('USED')).toEqual(idsOf(second, third))
    expect((await bindings('USED')).find(({ state }) => state === 'replaced')?.fingerprint).toEqual(
      fingerprint(first.certificate),
    )
  })

  test('the one in use is never given up: it spoke last, or signed the request', async () => {
    const first = await enrolled('IN-USE')
    const by = async (signer?: Identity) =>
      (await renew(signer ?? (await momentary(testKey('other'))), { challenge: await challenge('IN-USE') }))
        .identity!
    const second = await by()
    await speak('IN-USE', second)
    await speak('IN-USE', first)
    // It went back to the first one: the second goes, though it is younger.
    const third = await by()
    expect(await active('IN-USE')).toEqual(idsOf(first, third))
    // Signing is speaking: it has the third one, whose first message may still come.
    const fourth = await by(third)
    expect(await active('IN-USE')).toEqual(idsOf(third, fourth))
    // Nothing was heard since, so the fourth goes.
    const fifth = await by()
    expect(await active('IN-USE')).toEqual(idsOf(third, fifth))
  })

  test('the same key gets the same certificate, with no new row, until another takes its place', async () => {
    const first = await enrolled('REPLAY')
    server.clock.advance(LATE_DAYS, 'day')
    const once = await renew(first)
    for (let time = 0; time < 3; time++) {
      const again = await renew(first)
      expect(again.certificate?.fingerprint).toBe(once.certificate?.fingerprint)
    }
    expect(await bindings('REPLAY')).toHaveLength(2)
    const secret = await challenge('REPLAY')
    const asked = await renew(first, { challenge: secret })
    expect((await renew(first, { challenge: secret })).certificate?.fingerprint).toBe(
      asked.certificate?.fingerprint,
    )
    server.clock.advance(1, 'minute')
    await renew(first, { challenge: await challenge('REPLAY'), name: 'device' })
    const late = await renew(first, { challenge: secret })
    expect(late.certRep).toMatchObject({ status: 'FAILURE', failInfo: 'badRequest' })
    expect(server.logged('certificate.refused', { reason: 'challenge_used' })).toBe(true)
  })

  test('many at the same moment leave two', async () => {
    const first = await enrolled('AT-ONCE')
    server.clock.advance(LATE_DAYS, 'day')
    const secrets = await Promise.all(Array.from({ length: 4 }, () => challenge('AT-ONCE')))
    const names: Names[] = ['device', 'other']
    const answers = await Promise.all([
      ...names.map((name) => renew(first, { name })),
      ...secrets.map((secret, n) => renew(first, { challenge: secret, name: names[n % 2]! })),
    ])
    expect(answers.every(({ certRep }) => certRep?.status === 'SUCCESS')).toBe(true)
    const left = await active('AT-ONCE')
    expect(left).toHaveLength(2)
    expect([...left]).toContain(first.certificate.fingerprint)
  })
})

describe('two processes on one PostgreSQL', () => {
  let first: TestDatabase
  let second: Db
  let servers: [IdentityServer, IdentityServer]
  beforeAll(async () => {
    first = await testDatabase('postgres')
    second = await openDatabase({ ...first.location, log: identityWorld(first).log })
    const one = await identityServer(first)
    servers = [one, await identityServer(second, { clock: one.clock })]
  })
  afterAll(async () => {
    for (const server of servers) await server.close()
    await second.close()
    await first.close()
  })

  test('that renew at the same moment leave two certificates', async () => {
    const [one, two] = servers.map((server) => actions(() => server))
    for (let round = 0; round < 5; round++) {
      const id = `TWO-${round}`
      const identity = await one!.enrolled(id)
      const secrets = await Promise.all(Array.from({ length: 6 }, () => one!.challenge(id)))
      const answers = await Promise.all(
        secrets.map((secret, n) => (n % 2 === 0 ? one! : two!).renew(identity, { challenge: secret })),
      )
      expect(answers.every(({ certRep }) => certRep?.status === 'SUCCESS')).toBe(true)
      const left = await one!.active(id)
      expect(left).toHaveLength(2)
      expect([...left]).toContain(identity.certificate.fingerprint)
    }
  })
})

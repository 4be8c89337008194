import { afterAll, beforeAll, expect, test } from 'vitest'
import { takeChallenges, type Taking } from '../../src/db/statements/issue.ts'
import { sha256 } from '../../src/kernel/ids.ts'
import { describeEachEngine } from '../support/database.ts'
import { identityServer, type IdentityServer } from '../support/identity-server.ts'
import { scepRequest } from '../support/scep-client.ts'

describeEachEngine('recording certificates of attempts', (database) => {
  let server: IdentityServer
  beforeAll(async () => {
    server = await identityServer(database())
  })
  afterAll(() => server.close())

  const takingOf = (challenge: string): Taking => ({
    hash: sha256(challenge),
    issued: {
      fingerprint: sha256(`fingerprint of ${challenge}`),
      ca_id: 'ca',
      serial_number: '0102',
      certificate: Buffer.from(`certificate of ${challenge}`),
      public_key_hash: sha256('key'),
      not_before: new Date('2030-01-01T00:00:00Z'),
      not_after: new Date('2031-01-01T00:00:00Z'),
    },
    detail: { certificate_serial_number: '0102' },
    data: {
      certificate_serial_number: '0102',
      not_after: '2031-01-01T00:00:00Z',
      transaction_id: 'T\0X',
      renewal: false,
    },
  })
  const take = async (challenges: string[]) =>
    (
      await takeChallenges(server.db, challenges.map(takingOf), {
        at: server.clock.now(),
        deadline: server.clock.now(),
      })
    ).map((taken) => taken !== undefined)
  const issuedFor = (challenge: string) => server.issued(takingOf(challenge).issued.fingerprint)

  test('a batch takes what is worth something and leaves the rest as it is', async () => {
    const expired = await server.challengeFor()
    server.clock.advance(15, 'minute')
    const voided = await server.challengeFor()
    await server.db.transaction((trx) => server.identity.voidChallenges(trx, voided.attemptId))
    const used = await server.challengeFor()
    expect(await take([used.challenge])).toEqual([true])
    const renewal = await server.db.transaction((trx) =>
      server.identity.newChallenge(trx, { enrollmentId: 'ENROLLMENT' }),
    )
    const worthless = [expired.challenge, voided.challenge, used.challenge, renewal, 'never given out']
    const good = await Promise.all(
      Array.from({ length: 15 }, (_, n) => server.challengeFor({ serial_number: `BATCH${n}` })),
    )
    const mixed = good.flatMap(({ challenge }, n) => [challenge, ...worthless.slice(n, n + 1)])
    expect(mixed).toHaveLength(20)
    expect(await take(mixed)).toEqual(mixed.map((challenge) => !worthless.includes(challenge)))

    for (const [n, { attemptId, challenge }] of good.entries()) {
      expect(await issuedFor(challenge)).toEqual({
        ...takingOf(challenge).issued,
        attempt_id: attemptId,
        enrollment_id: null,
        issued_at: server.clock.now(),
      })
      const attempt = await server.attempts.get(attemptId)
      expect(attempt?.timeline).toEqual([
        {
          at: server.clock.now(),
          step: 'certificate',
          outcome: 'passed',
          user_name: null,
          reason: null,
          detail: { certificate_serial_number: '0102' },
        },
      ])
      expect(await server.eventsOf(attemptId, 'certificate.issued')).toEqual([
        expect.objectContaining({
          at: server.clock.now(),
          serial_number: `BATCH${n}`,
          enrollment_id: null,
          user_name: null,
          reason: null,
          data: { ...takingOf('').data, transaction_id: 'T\uFFFDX' },
        }),
      ])
    }
    for (const { attemptId, challenge } of [expired, voided]) {
      expect(await issuedFor(challenge)).toBeUndefined()
      expect(await server.eventsOf(attemptId, 'certificate.issued')).toEqual([])
    }
    expect(await server.eventsOf(used.attemptId, 'certificate.issued')).toHaveLength(1)
    expect(await take(mixed)).toEqual(mixed.map(() => false))
  })

  test('shutting down waits until a certificate is recorded', async () => {
    const order: string[] = []
    const started = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    const db = database()
    const slow: typeof db = {
      ...db,
      async prepared(name, text, values) {
        if (name !== 'take_challenges') return db.prepared(name, text, values)
        started.resolve()
        await gate.promise
        order.push('recorded')
        return db.prepared(name, text, values)
      },
    }
    const other = await identityServer(slow)
    const { attemptId, challenge } = await other.challengeFor()
    const answered = scepRequest(other, { challenge })
    await started.promise
    const closed = other.identity.close().then(() => order.push('closed'))
    // Long enough for a closing that does not wait to come first.
    const { challenge: another } = await server.challengeFor()
    expect((await scepRequest(server, { challenge: another })).certRep?.status).toBe('SUCCESS')
    gate.resolve()
    await closed
    expect(order).toEqual(['recorded', 'closed'])
    expect(await other.attempts.get(attemptId)).toMatchObject({ timeline: [{ step: 'certificate' }] })
    expect((await answered).certRep?.status).toBe('SUCCESS')
    await other.close()
  })
})

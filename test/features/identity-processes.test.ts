import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase, type Db } from '../../src/db/index.ts'
import { resealAll } from '../../src/db/index.ts'
import { createAuthority } from '../../src/features/device-identity/authority.ts'
import { createSecretBox } from '../../src/kernel/secret-box.ts'
import { createCsr, createLeaf, keyToPem, writePem, type Identity } from '../../src/protocol/x509/index.ts'
import { describeEachEngine, testDatabase, type TestDatabase } from '../support/database.ts'
import { testCa, TEST_VALIDITY } from '../support/identities.ts'
import { identityServer, type IdentityServer } from '../support/identity-server.ts'
import { identityWorld, testClock } from '../support/identity-world.ts'
import { testKey } from '../support/keys.ts'
import { scepRequest } from '../support/scep-client.ts'
import { ACT } from '../support/act.ts'

const toImport = ({ certificate, key }: Identity) => ({
  certificatePem: writePem('CERTIFICATE', certificate.der),
  keyPem: keyToPem(key),
})

function authorityOn(db: Db, imported: ReturnType<typeof toImport> | null = null, boxKey = 7) {
  const world = identityWorld(db)
  const secretBox = createSecretBox({ key: Buffer.alloc(32, boxKey), previous: Buffer.alloc(32, 7) })
  return { ...world, ...createAuthority({ ...world, secretBox, imported }) }
}

/** A CA of its own name with one of the fixed keys. */
const caWith = (name: 'other' | 'ec' | 'weak') =>
  createLeaf({
    subject: [['CN', `CA ${name}`]],
    keyUsage: ['keyCertSign'],
    ca: {},
    key: testKey(name),
    ...TEST_VALIDITY,
  })

/** The address of a second process on the same PostgreSQL. */
const again = (first: TestDatabase) => openDatabase({ ...first.location, log: identityWorld(first).log })

describe('two processes on one PostgreSQL', () => {
  let first: TestDatabase
  let second: Db
  let one: IdentityServer
  let two: IdentityServer
  beforeAll(async () => {
    first = await testDatabase('postgres')
    second = await again(first)
    const clock = testClock()
    one = await identityServer(first, { clock })
    two = await identityServer(second, { clock })
  })
  afterAll(async () => {
    await Promise.all([one.close(), two.close()])
    await second.close()
    await first.close()
  })

  test('a challenge for two keys at once gives exactly one certificate', async () => {
    for (let round = 0; round < 5; round++) {
      const { attemptId, challenge } = await one.challengeFor()
      const answers = await Promise.all([
        scepRequest(one, { challenge, key: testKey('device'), transactionId: 'A' }),
        scepRequest(two, { challenge, key: testKey('other'), transactionId: 'B' }),
        scepRequest(two, { challenge, key: testKey('device'), transactionId: 'C' }),
        scepRequest(one, { challenge, key: testKey('other'), transactionId: 'D' }),
      ])
      const issued = new Set(answers.flatMap(({ certificate }) => certificate?.fingerprint ?? []))
      expect(issued.size).toBe(1)
      expect(answers.filter(({ certRep }) => certRep?.status === 'SUCCESS')).toHaveLength(2)
      const rows = await first.kysely
        .selectFrom('issued_certificates')
        .select('fingerprint')
        .where('attempt_id', '=', attemptId)
        .execute()
      expect(rows).toHaveLength(1)
      // The same refusal again is counted in its step, without an event of its own.
      const refused = await one.eventsOf(attemptId, 'certificate.refused')
      expect(new Set(refused.map(({ reason }) => reason))).toEqual(new Set(['challenge_used']))
    }
  })

  test('a certificate replaced in one process is replaced in the other', async () => {
    const { challenge } = await one.challengeFor()
    const { certificate } = await scepRequest(one, { challenge })
    const fingerprint = Buffer.from(certificate!.fingerprint, 'hex')
    await one.db.transaction((trx) =>
      one.identity.bind(trx, { enrollmentId: 'X', fingerprint, renewal: false }),
    )
    expect(await two.identity.bindings(second.kysely, fingerprint)).toMatchObject([{ state: 'active' }])
    await one.db.transaction((trx) => one.identity.endAll(trx, 'X'))
    expect(await two.identity.bindings(second.kysely, fingerprint)).toMatchObject([{ state: 'ended' }])
  })

  test('the end of an enrollment and a renewal at the same moment leave no active certificate', async () => {
    for (let round = 0; round < 5; round++) {
      const enrollmentId = `RACE-${round}`
      const { challenge } = await one.challengeFor()
      const { certificate } = await scepRequest(one, { challenge })
      const fingerprint = Buffer.from(certificate!.fingerprint, 'hex')
      await one.db.transaction((trx) => one.identity.bind(trx, { enrollmentId, fingerprint, renewal: false }))
      const signer = { certificate: certificate!, key: testKey('device') }
      await Promise.all([
        scepRequest(two, { type: 'RenewalReq', signer, key: testKey('other') }),
        one.db.transaction((trx) => one.identity.endAll(trx, enrollmentId)),
      ])
      const rows = await first.kysely
        .selectFrom('enrollment_certificates')
        .select('state')
        .where('enrollment_id', '=', enrollmentId)
        .execute()
      expect(rows.every(({ state }) => state === 'ended')).toBe(true)
    }
  })

  test('a link for three devices lets exactly three of ten in', async () => {
    const { id } = await one.links.create({ uses: 3 }, ACT)
    const taken = await Promise.all(
      Array.from({ length: 10 }, (_, index) => {
        const { db, links } = index % 2 === 0 ? one : two
        return db.transaction((trx) => links.takeUse(trx, id))
      }),
    )
    expect(taken.filter((answer) => answer === 'taken')).toHaveLength(3)
    expect(taken.filter((answer) => answer === 'link_used_up')).toHaveLength(7)
    expect(await one.links.get(id)).toMatchObject({ uses: 3, used: 3 })
  })

  test('a CA that one process takes over is trusted by the other at once', async () => {
    const other = await caWith('other')
    await authorityOn(first, toImport(other)).ready()
    const device = await createLeaf({
      subject: [['CN', 'device']],
      issuer: other,
      key: testKey('device'),
      ...TEST_VALIDITY,
    })
    const { problem } = await two.identity.identify(device.certificate.der, two.clock.now())
    expect(problem).toBeUndefined()
    const { challenge } = await one.challengeFor()
    expect((await scepRequest(one, { challenge })).certRep?.status).toBe('SUCCESS')
  })
})

describe('the device CA', () => {
  test('processes that start at once on an empty database agree on one, and on one signer', async () => {
    const first = await testDatabase('postgres')
    const second = await again(first)
    const authorities = [authorityOn(first), authorityOn(second), authorityOn(second)]
    await Promise.all(authorities.map((authority) => authority.ready()))
    const cas = authorities.map((authority) => authority.issuing().certificate.fingerprint)
    expect(new Set(cas).size).toBe(1)
    const signers = authorities.map((authority) => authority.profileSigner().certificate.fingerprint)
    expect(new Set(signers).size).toBe(1)
    await second.close()
    await first.close()
  })
})

describeEachEngine('the device CA', (database) => {
  test('one of our own is RSA, for ten years, sealed, and the same after a restart', async () => {
    const made = authorityOn(database())
    await made.ready()
    const { certificate, key } = made.issuing()
    expect(key.asymmetricKeyDetails?.modulusLength).toBe(2048)
    expect(certificate.isCa).toBe(true)
    expect([...(certificate.keyUsage ?? [])]).toEqual(
      expect.arrayContaining(['keyCertSign', 'keyEncipherment']),
    )
    expect(certificate.notAfter.getUTCFullYear()).toBe(2036)
    const row = await database().kysely.selectFrom('device_cas').selectAll().executeTakeFirstOrThrow()
    expect(row.private_key?.includes(key.export({ format: 'der', type: 'pkcs8' }))).toBe(false)
    const later = authorityOn(database())
    await later.ready()
    expect(later.issuing().certificate.fingerprint).toBe(certificate.fingerprint)
    expect(later.profileSigner().certificate.fingerprint).toBe(made.profileSigner().certificate.fingerprint)
    expect(made.profileSigner().certificate.isCa).toBe(false)
  })

  test('a new secret key seals it anew', async () => {
    const rotated = authorityOn(database(), null, 8)
    await rotated.ready()
    const previous = Buffer.alloc(32, 7)
    const world = identityWorld(database())
    const rotating = createSecretBox({ key: Buffer.alloc(32, 8), previous })
    expect(await resealAll(database(), rotating)).toBe(2)
    expect(await resealAll(database(), rotating)).toBe(0)
    const secretBox = createSecretBox({ key: Buffer.alloc(32, 8) })
    const withoutTheOld = createAuthority({ ...world, secretBox, imported: null })
    await withoutTheOld.ready()
    expect(withoutTheOld.issuing().certificate.fingerprint).toBe(rotated.issuing().certificate.fingerprint)
    expect(withoutTheOld.profileSigner().certificate.fingerprint).toBe(
      rotated.profileSigner().certificate.fingerprint,
    )
  })

  test('one that is given later issues from then on, and the earlier ones stay trusted', async () => {
    const before = authorityOn(database(), null, 8)
    await before.ready()
    const imported = await testCa()
    const after = authorityOn(database(), toImport(imported), 8)
    await after.ready()
    expect(after.issuing().certificate.fingerprint).toBe(imported.certificate.fingerprint)
    expect(after.trusted().map(({ id }) => id)).toContain(before.issuing().certificate.fingerprint)
    expect(after.logged('authority.changed', { ca: imported.certificate.fingerprint })).toBe(true)
    const without = authorityOn(database(), null, 8)
    await without.ready()
    expect(without.issuing().certificate.fingerprint).toBe(imported.certificate.fingerprint)
  })

  test('one that cannot serve is refused with the reason', async () => {
    const subject = [['CN', 'CA']] as const
    const ec = await caWith('ec')
    const weak = await caWith('weak')
    const leaf = await createLeaf({ subject, key: testKey('ca'), ...TEST_VALIDITY })
    const over = { notBefore: new Date('2020-01-01'), notAfter: new Date('2021-01-01') }
    const expired = await testCa(over)
    const foreign = { ...toImport(await testCa()), keyPem: keyToPem(testKey('other')) }
    const ready = (given: ReturnType<typeof toImport>) => authorityOn(database(), given, 8).ready()
    await expect(ready(toImport(ec))).rejects.toThrow(/RSA key of at least 2048 bits/)
    await expect(ready(toImport(weak))).rejects.toThrow(/RSA key of at least 2048 bits/)
    await expect(ready(toImport(leaf))).rejects.toThrow(/not the certificate of a certificate authority/)
    await expect(ready(toImport(expired))).rejects.toThrow(/expired at 2021/)
    await expect(ready(foreign)).rejects.toMatchObject({
      code: 'x509_invalid',
      message: expect.stringContaining('another certificate') as string,
    })
    const csr = await createCsr({ key: testKey('device'), subject })
    await expect(
      ready({ certificatePem: writePem('CERTIFICATE REQUEST', csr), keyPem: keyToPem(testKey('ca')) }),
    ).rejects.toThrow(/has no certificate/)
  })
})

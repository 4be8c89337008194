import { sql } from 'kysely'
import type { Queries, Tx } from '../../db/index.ts'
import type { DeviceIdentityTables } from '../../db/tables/device-identity.ts'
import type { Binding, IssuedCertificate, NewChallenge } from './types.ts'

/** Serialises processes that start at once and would each make a CA; an arbitrary number that nothing else locks. */
const AUTHORITY_LOCK = 7_203_008

/** A CA as it is kept; `private_key` is sealed. */
export type StoredCa = DeviceIdentityTables['device_cas']

/** A profile signer as it is kept; `private_key` is sealed. */
type StoredSigner = DeviceIdentityTables['profile_signers']

/** Waits until no other process makes or imports a CA. */
export async function lockAuthority(trx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(${AUTHORITY_LOCK})`.execute(trx)
}

/** Every CA, the one that issues first. */
export async function listCas(db: Queries): Promise<StoredCa[]> {
  return db
    .selectFrom('device_cas')
    .selectAll()
    .orderBy((eb) => eb('private_key', 'is', null))
    .orderBy('created_at', 'desc')
    .orderBy('id')
    .execute()
}

/** Keeps a CA, or makes a known one the newest. */
export async function saveCa(trx: Tx, ca: StoredCa): Promise<void> {
  const { private_key, created_at } = ca
  await trx
    .insertInto('device_cas')
    .values(ca)
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ private_key, created_at }))
    .execute()
}

/** The profile signer of a CA, or undefined. */
export async function findSigner(db: Queries, caId: string): Promise<StoredSigner | undefined> {
  return db.selectFrom('profile_signers').selectAll().where('ca_id', '=', caId).executeTakeFirst()
}

/** Keeps the profile signer of a CA, in the place of an earlier one. */
export async function saveSigner(trx: Tx, signer: StoredSigner): Promise<void> {
  const { ca_id, ...rest } = signer
  await trx
    .insertInto('profile_signers')
    .values({ ca_id, ...rest })
    .onConflict((conflict) => conflict.column('ca_id').doUpdateSet(rest))
    .execute()
}

/** Unused challenges of one link; a further one takes the place of the oldest. */
const MAX_UNUSED_OF_LINK = 1_000

/** Adds challenges. */
export async function insertChallenges(
  trx: Tx,
  challenges: readonly NewChallenge[],
  now: Date,
): Promise<void> {
  if (challenges.length === 0) return
  const fresh = { public_key_hash: null, certificate: null, voided_at: null, created_at: now }
  await trx
    .insertInto('scep_challenges')
    .values(challenges.map((challenge) => ({ ...challenge, ...fresh })))
    .execute()
}

/** Deletes the oldest unused challenges of links that have too many of them. */
export async function trimChallenges(trx: Tx, linkIds: readonly string[]): Promise<void> {
  await sql`
    delete from scep_challenges where hash = any(array(
      select c.hash from unnest(${linkIds}::text[]) as l (id), lateral (
        select hash from scep_challenges where link_id = l.id and certificate is null
        order by created_at desc offset ${MAX_UNUSED_OF_LINK}
      ) c
    ))`.execute(trx)
}

/** Uses up a challenge unless it was used, voided or has expired; whether that happened. */
export async function useChallenge(
  trx: Tx,
  use: { hash: Buffer; publicKeyHash: Buffer; certificate: Buffer; now: Date },
): Promise<boolean> {
  const result = await trx
    .updateTable('scep_challenges')
    .set({ public_key_hash: use.publicKeyHash, certificate: use.certificate })
    .where('hash', '=', use.hash)
    .where('certificate', 'is', null)
    .where('voided_at', 'is', null)
    .where('expires_at', '>', use.now)
    .executeTakeFirst()
  return result.numUpdatedRows === 1n
}

/** Voids the challenges of attempts or of an enrollment that are not voided yet. */
export async function voidChallengesOf(
  trx: Tx,
  owner: { attempt_ids: readonly string[] } | { enrollment_id: string },
  now: Date,
): Promise<void> {
  const update = trx.updateTable('scep_challenges').set({ voided_at: now }).where('voided_at', 'is', null)
  await (
    'attempt_ids' in owner
      ? update.where(sql<boolean>`attempt_id = any(${owner.attempt_ids}::text[])`)
      : update.where('enrollment_id', '=', owner.enrollment_id)
  ).execute()
}

/** Deletes challenges that expired before `any`, and those that no attempt began with before `unused`. */
export async function deleteChallenges(db: Queries, before: { any: Date; unused: Date }): Promise<void> {
  await db
    .deleteFrom('scep_challenges')
    .where('expires_at', '<', before.unused)
    .where(({ or, and, eb }) =>
      or([
        eb('expires_at', '<', before.any),
        and([eb('way', 'is not', null), eb('certificate', 'is', null)]),
      ]),
    )
    .execute()
}

/** Records an issued certificate. */
export async function insertIssued(trx: Tx, issued: IssuedCertificate): Promise<void> {
  await trx.insertInto('issued_certificates').values(issued).execute()
}

/** The newest active certificate of an enrollment for this key that was issued after `since`, or undefined. */
export async function findRenewed(
  trx: Tx,
  wanted: { enrollmentId: string; publicKeyHash: Buffer; since: Date },
): Promise<Buffer | undefined> {
  const row = await trx
    .selectFrom('enrollment_certificates as bound')
    .innerJoin('issued_certificates as issued', 'issued.fingerprint', 'bound.fingerprint')
    .select('issued.certificate')
    .where('bound.enrollment_id', '=', wanted.enrollmentId)
    .where('bound.state', '=', 'active')
    .where('bound.renewal', '=', true)
    .where('issued.public_key_hash', '=', wanted.publicKeyHash)
    .where('issued.issued_at', '>', wanted.since)
    .orderBy('issued.issued_at', 'desc')
    .executeTakeFirst()
  return row?.certificate
}

/** Which enrollments a certificate is or was. */
export async function listBindings(db: Queries, fingerprint: Buffer): Promise<Binding[]> {
  return db
    .selectFrom('enrollment_certificates')
    .select(['enrollment_id', 'state', 'use'])
    .where('fingerprint', '=', fingerprint)
    .execute()
}

/**
 * Locks the bindings of an enrollment and tells which fingerprints are active. What changes or reads them to decide
 * starts here, so that a renewal and an end at the same moment see each other.
 */
export async function lockActive(trx: Tx, enrollmentId: string): Promise<Buffer[]> {
  const rows = await trx
    .selectFrom('enrollment_certificates')
    .select(['fingerprint', 'state'])
    .where('enrollment_id', '=', enrollmentId)
    .orderBy('fingerprint')
    .forUpdate()
    .execute()
  return rows.filter((row) => row.state === 'active').map((row) => row.fingerprint)
}

/** Whether an enrollment has spoken with a certificate that is active. */
export async function isUsed(db: Queries, enrollmentId: string): Promise<boolean> {
  const row = await db
    .selectFrom('enrollment_certificates')
    .select('fingerprint')
    .where('enrollment_id', '=', enrollmentId)
    .where('state', '=', 'active')
    .where('use', '<>', 'unused')
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/**
 * Whether a certificate is one that nobody here knows: neither issued here for somebody, nor ever that of an enrollment. It is
 * locked until the end of the transaction, so that it becomes that of one enrollment at most.
 */
export async function lockUnknown(trx: Tx, fingerprint: Buffer): Promise<boolean> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${fingerprint.toString('hex')}, ${AUTHORITY_LOCK}))`.execute(
    trx,
  )
  const { rows } = await sql<{ is_known: boolean }>`
    select exists (select from issued_certificates where fingerprint = ${fingerprint}::bytea)
      or exists (select from enrollment_certificates where fingerprint = ${fingerprint}::bytea) as is_known`.execute(
    trx,
  )
  return rows[0]?.is_known === false
}

/** An active certificate of an enrollment. Of one that is not of our issue the dates are not known. */
export interface ActiveCertificate {
  fingerprint: Buffer
  use: Binding['use']
  bound_at: Date
  not_before: Date | null
  not_after: Date | null
}

/** The active certificates of an enrollment, the one that was bound first before the others. */
export async function listActive(trx: Tx, enrollmentId: string): Promise<ActiveCertificate[]> {
  return trx
    .selectFrom('enrollment_certificates as bound')
    .leftJoin('issued_certificates as issued', 'issued.fingerprint', 'bound.fingerprint')
    .select(['bound.fingerprint', 'bound.use', 'bound.bound_at', 'issued.not_before', 'issued.not_after'])
    .where('bound.enrollment_id', '=', enrollmentId)
    .where('bound.state', '=', 'active')
    .orderBy('bound.bound_at')
    .orderBy('bound.renewal')
    .orderBy('bound.fingerprint')
    .execute()
}

/** Forgets a certificate that was never used, and that it was issued. */
export async function forgetCertificate(trx: Tx, enrollmentId: string, fingerprint: Buffer): Promise<void> {
  await trx
    .deleteFrom('enrollment_certificates')
    .where('enrollment_id', '=', enrollmentId)
    .where('fingerprint', '=', fingerprint)
    .execute()
  await trx.deleteFrom('issued_certificates').where('fingerprint', '=', fingerprint).execute()
}

/** Notes with which of its active certificates an enrollment has spoken last. */
export async function saveUse(db: Queries, enrollmentId: string, fingerprint: Buffer): Promise<void> {
  await sql`
    update enrollment_certificates c set use = case when c.fingerprint = ${fingerprint}::bytea then 'current' else 'former' end
    from (
      select fingerprint from enrollment_certificates
      where enrollment_id = ${enrollmentId} and state = 'active'
        and (fingerprint = ${fingerprint}::bytea or use = 'current')
      order by fingerprint for update
    ) changed
    where c.enrollment_id = ${enrollmentId} and c.fingerprint = changed.fingerprint`.execute(db)
}

/** Makes a certificate an active one of the enrollment. */
export async function saveBinding(
  trx: Tx,
  binding: { enrollmentId: string; fingerprint: Buffer; renewal: boolean },
  now: Date,
): Promise<void> {
  const { enrollmentId, fingerprint, renewal } = binding
  const use = renewal ? 'unused' : 'current'
  const change = { state: 'active', renewal, use, bound_at: now } as const
  await trx
    .insertInto('enrollment_certificates')
    .values({ enrollment_id: enrollmentId, fingerprint, contested_at: null, ...change })
    .onConflict((conflict) => conflict.columns(['enrollment_id', 'fingerprint']).doUpdateSet(change))
    .execute()
}

/** Moves the active certificates of an enrollment, or those that are meant of them, to another state. */
export async function retireBindings(
  trx: Tx,
  enrollmentId: string,
  state: 'replaced' | 'ended',
  which: { except?: Buffer; only?: Buffer } = {},
): Promise<void> {
  let update = trx
    .updateTable('enrollment_certificates')
    .set({ state })
    .where('enrollment_id', '=', enrollmentId)
    .where('state', '=', 'active')
  if (which.except !== undefined) update = update.where('fingerprint', '<>', which.except)
  if (which.only !== undefined) update = update.where('fingerprint', '=', which.only)
  await update.execute()
}

/** The certificate that an enrollment got last of its active ones; undefined without any of our issue. */
export async function newestActive(db: Queries, enrollmentId: string): Promise<Buffer | undefined> {
  const row = await db
    .selectFrom('enrollment_certificates as bound')
    .innerJoin('issued_certificates as issued', 'issued.fingerprint', 'bound.fingerprint')
    .select('issued.certificate')
    .where('bound.enrollment_id', '=', enrollmentId)
    .where('bound.state', '=', 'active')
    .orderBy('bound.bound_at', 'desc')
    .executeTakeFirst()
  return row?.certificate
}

/** Notes that a replaced certificate has spoken; false when that was noted after `since` already. */
export async function noteContested(
  trx: Tx,
  binding: { enrollmentId: string; fingerprint: Buffer },
  now: Date,
  since: Date,
): Promise<boolean> {
  const result = await trx
    .updateTable('enrollment_certificates')
    .set({ contested_at: now })
    .where('enrollment_id', '=', binding.enrollmentId)
    .where('fingerprint', '=', binding.fingerprint)
    .where('state', '=', 'replaced')
    .where((eb) => eb.or([eb('contested_at', 'is', null), eb('contested_at', '<=', since)]))
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

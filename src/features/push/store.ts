import { sql, type Selectable } from 'kysely'
import type { Queries, Tx } from '../../db/index.ts'
import type { PushCertificateRequestsTable, PushCertificatesTable } from '../../db/tables/push.ts'
import { addTime } from '../../kernel/clock.ts'

/** Longer than a push can take with its waiting and its tries, so that nobody takes over what is still being sent. */
const CLAIM_SECONDS = 120
/** Pushes a second that go out when a certificate works again. */
const RELEASE_PER_SECOND = 500

/** A row of `push_certificates`. */
type PushCertificateRow = Selectable<PushCertificatesTable>

/** What may be shown of a push certificate. */
export type PushCertificate = Omit<PushCertificateRow, 'certificate' | 'private_key' | 'warned_days'>

const SHOWN_COLUMNS = [
  'topic',
  'apple_id',
  'not_after',
  'in_use',
  'rejected_reason',
  'version',
  'created_at',
  'updated_at',
] as const

// Certificates

/** Lets one process at a time change certificates. */
export async function lockCertificates(trx: Tx): Promise<void> {
  await sql`lock table push_certificates in share row exclusive mode`.execute(trx)
}

/** All certificates in the order of their topics, at most `limit`, after `after`. */
export function listCertificates(
  db: Queries,
  query: { after?: string | undefined; limit: number },
): Promise<PushCertificate[]> {
  return db
    .selectFrom('push_certificates')
    .select(SHOWN_COLUMNS)
    .where('topic', '>', query.after ?? '')
    .orderBy('topic')
    .limit(query.limit)
    .execute()
}

/** The certificate of a topic. */
export function findCertificate(db: Queries, topic: string): Promise<PushCertificate | undefined> {
  return db
    .selectFrom('push_certificates')
    .select(SHOWN_COLUMNS)
    .where('topic', '=', topic)
    .executeTakeFirst()
}

/** The certificate that new enrollments get. */
export function findInUse(db: Queries): Promise<PushCertificate | undefined> {
  return db
    .selectFrom('push_certificates')
    .select(SHOWN_COLUMNS)
    .where('in_use', '=', true)
    .executeTakeFirst()
}

/** The certificate of a topic with its sealed key. */
export function findKeyPair(
  db: Queries,
  topic: string,
): Promise<Pick<PushCertificateRow, 'version' | 'certificate' | 'private_key'> | undefined> {
  return db
    .selectFrom('push_certificates')
    .select(['version', 'certificate', 'private_key'])
    .where('topic', '=', topic)
    .executeTakeFirst()
}

/** What the sender must know of each topic before it sends. */
export function findSendingState(
  db: Queries,
): Promise<Pick<PushCertificateRow, 'topic' | 'version' | 'not_after' | 'rejected_reason'>[]> {
  return db
    .selectFrom('push_certificates')
    .select(['topic', 'version', 'not_after', 'rejected_reason'])
    .execute()
}

/** Stores a certificate, as the one in use or not, instead of an older one of its topic; `apple_id` null keeps the known one. */
export async function upsertCertificate(
  trx: Tx,
  row: Pick<PushCertificateRow, 'topic' | 'certificate' | 'private_key' | 'apple_id' | 'not_after'>,
  at: Date,
  isInUse: boolean,
): Promise<PushCertificate> {
  if (isInUse)
    await trx.updateTable('push_certificates').set({ in_use: false }).where('in_use', '=', true).execute()
  return trx
    .insertInto('push_certificates')
    .values({ ...row, in_use: isInUse, created_at: at, updated_at: at })
    .onConflict((conflict) =>
      conflict.column('topic').doUpdateSet((eb) => ({
        certificate: eb.ref('excluded.certificate'),
        private_key: eb.ref('excluded.private_key'),
        apple_id: eb.fn.coalesce('excluded.apple_id', 'push_certificates.apple_id'),
        not_after: eb.ref('excluded.not_after'),
        in_use: isInUse,
        rejected_reason: null,
        warned_days: null,
        version: eb('push_certificates.version', '+', 1),
        updated_at: at,
      })),
    )
    .returning(SHOWN_COLUMNS)
    .executeTakeFirstOrThrow()
}

/** Notes that Apple refuses this version of a certificate, or (null) no longer; false when that was known. */
export async function setRejected(
  trx: Tx,
  certificate: { topic: string; version: number },
  reason: string | null,
): Promise<boolean> {
  const result = await trx
    .updateTable('push_certificates')
    .set({ rejected_reason: reason })
    .where('topic', '=', certificate.topic)
    .where('version', '=', certificate.version)
    .where('rejected_reason', reason === null ? 'is not' : 'is', null)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** Notes that it was warned of this threshold; false when it, or a nearer one, was warned of before. */
export async function setWarned(
  trx: Tx,
  certificate: { topic: string; version: number },
  days: number,
): Promise<boolean> {
  const result = await trx
    .updateTable('push_certificates')
    .set({ warned_days: days })
    .where('topic', '=', certificate.topic)
    .where('version', '=', certificate.version)
    .where((eb) => eb.or([eb('warned_days', 'is', null), eb('warned_days', '>', days)]))
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

// Requests

/** A push certificate that Apple is asked for. */
type RequestRow = Selectable<PushCertificateRequestsTable>

/** What may be shown of it. */
export type CertificateRequest = Omit<RequestRow, 'private_key'>

const SHOWN_OF_REQUEST = ['id', 'csr', 'upload', 'topic', 'created_at', 'updated_at'] as const

/** Keeps a new request. */
export async function insertRequest(
  trx: Tx,
  row: Pick<RequestRow, 'id' | 'private_key' | 'csr' | 'upload'>,
  at: Date,
): Promise<CertificateRequest> {
  return trx
    .insertInto('push_certificate_requests')
    .values({ ...row, created_at: at, updated_at: at })
    .returning(SHOWN_OF_REQUEST)
    .executeTakeFirstOrThrow()
}

/** Requests by id, so oldest first, from after `afterId`. */
export function listRequests(
  db: Queries,
  query: { limit: number; afterId?: string | undefined },
): Promise<CertificateRequest[]> {
  return db
    .selectFrom('push_certificate_requests')
    .select(SHOWN_OF_REQUEST)
    .where('id', '>', query.afterId ?? '')
    .orderBy('id')
    .limit(query.limit)
    .execute()
}

/** One request with its sealed key. */
export function findRequest(db: Queries, id: string): Promise<RequestRow | undefined> {
  return db.selectFrom('push_certificate_requests').selectAll().where('id', '=', id).executeTakeFirst()
}

/** Notes which certificate came for a request. */
export async function answerRequest(trx: Tx, id: string, topic: string, at: Date): Promise<void> {
  await trx
    .updateTable('push_certificate_requests')
    .set({ topic, updated_at: at })
    .where('id', '=', id)
    .execute()
}

// Needs

/** A need that this process is to send until `until`. */
export interface Claim {
  id: string
  attempts: number
  at: Date
  until: Date
}

/**
 * Notes that enrollments are to be woken, each at its time, or earlier when that was so. What Apple has accepted is
 * sent again, but not sooner than `spacingMs` after that; what is being sent at this moment is sent once more.
 */
export async function upsertNeeds(
  trx: Tx,
  needs: readonly { id: string; dueAt: Date }[],
  at: Date,
  spacingMs: number,
): Promise<void> {
  await sql`
    insert into push_needs (enrollment_id, due_at, created_at)
    select id, due_at, ${at}::timestamptz
    from unnest(${needs.map(({ id }) => id)}::text[], ${needs.map(({ dueAt }) => dueAt)}::timestamptz[])
      as n (id, due_at)
    order by id
    on conflict (enrollment_id) do update set
      due_at = case
        when push_needs.pushed_at is not null
          then greatest(excluded.due_at, push_needs.pushed_at + ${spacingMs} * interval '1 millisecond')
        when push_needs.claimed_until > ${at}::timestamptz
          then greatest(excluded.due_at, ${at}::timestamptz + ${spacingMs} * interval '1 millisecond')
        else least(push_needs.due_at, excluded.due_at) end,
      attempts = case when push_needs.pushed_at is null then push_needs.attempts else 0 end,
      pushed_at = null, claimed_until = null`.execute(trx)
}

/** Forgets what was to be pushed to enrollments. */
export async function deleteNeeds(trx: Tx, ids: readonly string[]): Promise<void> {
  await sql`delete from push_needs where enrollment_id = any(${ids}::text[])`.execute(trx)
}

function claimEnd(at: Date): Date {
  return addTime(at, CLAIM_SECONDS, 'second')
}

/** Claims up to `limit` needs that are due and that no living process is sending, the oldest first. */
export async function claimDue(db: Queries, at: Date, limit: number): Promise<Claim[]> {
  const until = claimEnd(at)
  const { rows } = await sql<{ id: string; attempts: number }>`
    update push_needs set claimed_until = ${until}::timestamptz
    where ctid = any(array(
      select ctid from push_needs
      where pushed_at is null and held_topic is null and due_at <= ${at}::timestamptz
        and (claimed_until is null or claimed_until <= ${at}::timestamptz)
      order by due_at limit ${limit} for update skip locked))
    returning enrollment_id as id, attempts`.execute(db)
  return rows.map((row) => ({ ...row, at, until }))
}

/** Claims one need that is held for a topic, to try whether it works again. */
export async function claimHeld(db: Queries, topic: string, at: Date): Promise<Claim[]> {
  const until = claimEnd(at)
  const { rows } = await sql<{ id: string; attempts: number }>`
    update push_needs set claimed_until = ${until}::timestamptz, held_topic = null,
      due_at = least(due_at, ${at}::timestamptz)
    where ctid = any(array(
      select ctid from push_needs where held_topic = ${topic} limit 1 for update skip locked))
    returning enrollment_id as id, attempts`.execute(db)
  return rows.map((row) => ({ ...row, at, until }))
}

/** Claims the needs of these enrollments whatever their state, making those that are not there. */
export async function claimNow(db: Queries, ids: readonly string[], at: Date): Promise<Claim[]> {
  const until = claimEnd(at)
  const { rows } = await sql<{ id: string; attempts: number }>`
    insert into push_needs (enrollment_id, due_at, claimed_until, created_at)
    select id, ${at}::timestamptz, ${until}::timestamptz, ${at}::timestamptz
    from unnest(${ids}::text[]) as n (id) order by id
    on conflict (enrollment_id) do update set due_at = excluded.due_at, pushed_at = null, held_topic = null,
      claimed_until = excluded.claimed_until
    returning enrollment_id as id, attempts`.execute(db)
  return rows.map((row) => ({ ...row, at, until }))
}

/** What a claimed need becomes. Times only where they apply. */
export interface Settlement {
  claim: Claim
  becomes: 'pushed' | 'deleted' | 'retried' | 'held'
  /** For `retried`. */
  dueAt?: Date
  /** For `held`. */
  topic?: string
}

/**
 * Ends claims in one statement. A need that was asked for anew while it was being sent stays due; a claim that ended
 * because it took too long changes nothing; nothing is held for a topic that works. Gives the ids whose claim still held.
 */
export async function settle(
  trx: Tx,
  settlements: readonly Settlement[],
  at: Date,
): Promise<ReadonlySet<string>> {
  if (settlements.some(({ becomes }) => becomes === 'held')) {
    // Against a certificate that is being stored at this moment, whose release would not see what is held here.
    await sql`lock table push_certificates in row exclusive mode`.execute(trx)
  }
  const { rows } = await sql<{ id: string }>`
    with input as materialized (
      select * from unnest(
        ${settlements.map(({ claim }) => claim.id)}::text[],
        ${settlements.map(({ claim }) => claim.at)}::timestamptz[],
        ${settlements.map(({ claim }) => claim.until)}::timestamptz[],
        ${settlements.map(({ becomes }) => becomes)}::text[],
        ${settlements.map(({ dueAt }) => dueAt ?? null)}::timestamptz[],
        ${settlements.map(({ topic }) => topic ?? null)}::text[]
      ) as i (id, claimed_at, claimed_until, becomes, due_at, topic)
    ), deleted as (
      delete from push_needs n using input i
      where n.enrollment_id = i.id and n.claimed_until = i.claimed_until and n.due_at <= i.claimed_at
        and i.becomes = 'deleted'
      returning i.id
    ), updated as (
    update push_needs n set
      claimed_until = null,
      pushed_at = case when i.becomes = 'pushed' and n.due_at <= i.claimed_at
        then ${at}::timestamptz else n.pushed_at end,
      attempts = case i.becomes when 'retried' then least(n.attempts + 1, 1000)
        when 'pushed' then 0 else n.attempts end,
      due_at = case when i.becomes = 'retried' and n.due_at <= i.claimed_at then i.due_at else n.due_at end,
      held_topic = case when i.becomes = 'held' and not exists (
        select 1 from push_certificates c
        where c.topic = i.topic and c.rejected_reason is null and c.not_after > ${at}::timestamptz
      ) then i.topic end
    from input i
    where n.enrollment_id = i.id and n.claimed_until = i.claimed_until
      and (i.becomes <> 'deleted' or n.due_at > i.claimed_at)
    returning i.id
    )
    select id from deleted union all select id from updated`.execute(trx)
  return new Set(rows.map(({ id }) => id))
}

/** Lets go what was held for a topic, spread over the time from `at` on; returns how many. */
export async function releaseHeld(trx: Tx, topic: string, at: Date): Promise<number> {
  const { rows } = await sql<{ id: string }>`
    update push_needs n set held_topic = null,
      due_at = ${at}::timestamptz + (h.position / ${RELEASE_PER_SECOND}::float8) * interval '1 second'
    from (
      select enrollment_id, (row_number() over (order by due_at) - 1)::float8 as position
      from push_needs where held_topic = ${topic}
    ) h
    where n.enrollment_id = h.enrollment_id
    returning n.enrollment_id as id`.execute(trx)
  return rows.length
}

/** When the next need is due that waits for its time or for the end of another process's claim; undefined for none. */
export async function nextDue(db: Queries): Promise<Date | undefined> {
  const { rows } = await sql<{ at: Date | null }>`
    select min(greatest(due_at, coalesce(claimed_until, due_at))) as at from (
      select due_at, claimed_until from push_needs
      where pushed_at is null and held_topic is null order by due_at limit 1000
    ) waiting`.execute(db)
  return rows[0]?.at ?? undefined
}

/** Deletes up to `limit` needs that Apple accepted before a time and whose devices never came; returns how many. */
export async function deletePushedBefore(db: Queries, before: Date, limit: number): Promise<number> {
  const { rows } = await sql<{ id: string }>`
    delete from push_needs where ctid = any(array(
      select ctid from push_needs where pushed_at < ${before}::timestamptz limit ${limit} for update skip locked))
    returning enrollment_id as id`.execute(db)
  return rows.length
}

import { sql, type Selectable } from 'kysely'
import type { Queries, Tx } from '../../db/index.ts'
import type { ApprovalsTable } from '../../db/tables/governor.ts'

/** What waits, or waited, for a second person. */
export type Approval = Selectable<ApprovalsTable>

/** Keeps a new one. */
export async function insertApproval(
  trx: Tx,
  { asked_by, decided_by, ...approval }: Omit<Approval, 'skipped_ids'>,
): Promise<Approval> {
  return trx
    .insertInto('approvals')
    .values({
      ...approval,
      asked_by: JSON.stringify(asked_by),
      decided_by: decided_by === null ? null : JSON.stringify(decided_by),
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** One by its id. */
export function findApproval(db: Queries, id: string): Promise<Approval | undefined> {
  return db.selectFrom('approvals').selectAll().where('id', '=', id).executeTakeFirst()
}

/** The same, kept from others until the transaction ends. */
export function lockApproval(trx: Tx, id: string): Promise<Approval | undefined> {
  return trx.selectFrom('approvals').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
}

/** The newest first, from before `beforeId`. */
export function listApprovals(
  db: Queries,
  query: { state?: Approval['state'] | undefined; before: string | undefined; limit: number },
): Promise<Approval[]> {
  let select = db.selectFrom('approvals').selectAll().orderBy('id', 'desc').limit(query.limit)
  if (query.state !== undefined) select = select.where('state', '=', query.state)
  if (query.before !== undefined) select = select.where('id', '<', query.before)
  return select.execute()
}

/** Writes down what became of one. */
export function updateApproval(
  trx: Tx,
  id: string,
  {
    decided_by,
    ...set
  }: Partial<
    Pick<Approval, 'state' | 'reason' | 'skipped_ids' | 'decided_by' | 'decided_at' | 'due_at' | 'done_at'>
  >,
  now: Date,
): Promise<Approval> {
  return trx
    .updateTable('approvals')
    .set({
      ...set,
      ...(decided_by && { decided_by: JSON.stringify(decided_by) }),
      updated_at: now,
    })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Those that wait, oldest first, at most `limit`; another process that is at one is left to it. */
export function lockWaiting(trx: Tx, after: string, limit: number): Promise<Approval[]> {
  return trx
    .selectFrom('approvals')
    .selectAll()
    .where('state', '=', 'waiting')
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit)
    .forUpdate()
    .skipLocked()
    .execute()
}

/** Ids of those whose time to be carried out has come. */
export async function dueApprovals(db: Queries, now: Date, limit: number): Promise<string[]> {
  const rows = await db
    .selectFrom('approvals')
    .select('id')
    .where('state', '=', 'approved')
    .where('done_at', 'is', null)
    .where('due_at', '<=', now)
    .orderBy('due_at')
    .limit(limit)
    .execute()
  return rows.map(({ id }) => id)
}

/** Takes back all that was accepted and is not carried out yet; gives what that was. */
export async function cancelDue(trx: Tx, reason: string, now: Date): Promise<Approval[]> {
  return trx
    .updateTable('approvals')
    .set({ state: 'cancelled', reason, due_at: null, updated_at: now })
    .where('due_at', 'is not', null)
    .where('state', '=', 'approved')
    .where('done_at', 'is', null)
    .returningAll()
    .execute()
}

/** Deletes those that were decided before `before`, at most `limit`; returns how many. */
export async function deleteApprovalsBefore(db: Queries, before: Date, limit: number): Promise<number> {
  const result = await sql`
    delete from approvals where id = any(array(
      select id from approvals where updated_at < ${before}
        and (state in ('rejected', 'cancelled', 'expired') or done_at is not null) limit ${limit}))`.execute(
    db,
  )
  return Number(result.numAffectedRows ?? 0n)
}

import { type Selectable, sql } from 'kysely'
import type { Queries, Tx } from '../../../db/index.ts'
import type { SignInFailuresTable } from '../../../db/tables/signin.ts'

/** The failures of a subject. */
export type Failures = Selectable<SignInFailuresTable>

/** What is counted of these subjects. */
export function findFailures(db: Queries, subjects: readonly string[]): Promise<Failures[]> {
  return db.selectFrom('sign_in_failures').selectAll().where('subject', 'in', subjects).execute()
}

/** Counts one more failure, in the window that `now` lies in; the row stays locked until the transaction ends. */
export async function countFailure(
  trx: Tx,
  subject: string,
  now: Date,
  windowSeconds: number,
): Promise<Failures> {
  const window = sql`make_interval(secs => ${windowSeconds})`
  const { rows } = await sql<Failures>`
    insert into sign_in_failures as f (subject, count, previous, window_started_at)
    values (${subject}, 1, 0, ${now}::timestamptz)
    on conflict (subject) do update set
      count = case when ${now}::timestamptz >= f.window_started_at + ${window} then 1 else f.count + 1 end,
      previous = case
        when ${now}::timestamptz >= f.window_started_at + 2 * ${window} then 0
        when ${now}::timestamptz >= f.window_started_at + ${window} then f.count
        else f.previous end,
      window_started_at = case
        when ${now}::timestamptz >= f.window_started_at + 2 * ${window} then ${now}::timestamptz
        when ${now}::timestamptz >= f.window_started_at + ${window} then f.window_started_at + ${window}
        else f.window_started_at end
    returning *`.execute(trx)
  const [row] = rows
  if (row === undefined) throw new Error('A failure that was counted has no row.')
  return row
}

/** Lets further tries of a subject wait until then. */
export async function lockSubject(trx: Tx, subject: string, until: Date): Promise<void> {
  await trx
    .updateTable('sign_in_failures')
    .set({ locked_until: until })
    .where('subject', '=', subject)
    .where((eb) => eb.or([eb('locked_until', 'is', null), eb('locked_until', '<', until)]))
    .execute()
}

/** Forgets the failures of a subject. */
export async function forgetFailures(db: Queries, subject: string): Promise<void> {
  await db.deleteFrom('sign_in_failures').where('subject', '=', subject).execute()
}

/** Forgets what counts no more: of windows that started before `time`. */
export async function deleteFailuresBefore(db: Queries, time: Date): Promise<void> {
  await db.deleteFrom('sign_in_failures').where('window_started_at', '<', time).execute()
}

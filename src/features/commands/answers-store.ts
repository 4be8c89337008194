import { sql, type Selectable } from 'kysely'
import type { Queries, Tx } from '../../db/index.ts'
import type { CommandAnswersTable } from '../../db/tables/commands.ts'

/** The end of a command that somebody in the server waits for. */
export type Answer = Selectable<CommandAnswersTable>

/** Where one is found. */
type Place = Pick<Answer, 'topic' | 'seq'>

/** The topics among these of which there are answers that are due. */
export async function topicsOf(
  db: Queries,
  among: readonly Answer['topic'][],
  now: Date,
): Promise<Set<Answer['topic']>> {
  const { rows } = await sql<Pick<Answer, 'topic'>>`
    select topic from unnest(${among}::text[]) as t (topic)
    where exists (select from command_answers a
      where a.topic = t.topic and (retry_at is null or retry_at <= ${now}::timestamptz))`.execute(db)
  return new Set(rows.map(({ topic }) => topic))
}

/** Takes the oldest answers of a topic that are due; those that another process is at are left to it. */
export async function takeAnswers(
  trx: Tx,
  topic: Answer['topic'],
  query: { now: Date; limit: number },
): Promise<Answer[]> {
  const { rows } = await sql<Answer>`
    delete from command_answers where ctid = any(array(
      select ctid from command_answers
      where topic = ${topic} and (retry_at is null or retry_at <= ${query.now}::timestamptz)
      order by seq limit ${query.limit} for update skip locked))
    returning *`.execute(trx)
  return rows.toSorted((one, other) => one.seq - other.seq)
}

/** Takes one answer; undefined when another process is at it, or was. */
export async function takeAnswer(trx: Tx, { topic, seq }: Place): Promise<Answer | undefined> {
  const { rows } = await sql<Answer>`
    delete from command_answers where ctid = any(array(
      select ctid from command_answers where topic = ${topic} and seq = ${seq} for update skip locked))
    returning *`.execute(trx)
  return rows[0]
}

/** Takes the answer to one command; undefined when another process is at it, or was. */
export async function takeAnswerTo(
  trx: Tx,
  { topic, enrollment_id, command_uuid }: Pick<Answer, 'topic' | 'enrollment_id' | 'command_uuid'>,
): Promise<Answer | undefined> {
  const { rows } = await sql<Answer>`
    delete from command_answers where ctid = any(array(
      select ctid from command_answers
      where topic = ${topic} and enrollment_id = ${enrollment_id} and command_uuid = ${command_uuid}
      for update skip locked))
    returning *`.execute(trx)
  return rows[0]
}

/** Puts an answer off that could not be taken in. */
export async function putOff(trx: Tx, { topic, seq }: Place, retryAt: Date): Promise<void> {
  await trx
    .updateTable('command_answers')
    .set((eb) => ({ tries: eb('tries', '+', 1), retry_at: retryAt }))
    .where('topic', '=', topic)
    .where('seq', '=', seq)
    .execute()
}

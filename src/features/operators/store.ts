import { type Selectable, sql } from 'kysely'
import { jsonText, type Db, type Queries, type Tx } from '../../db/index.ts'
import type { ApiTokensTable, IdempotencyKeysTable } from '../../db/tables/operators.ts'

/** An API token without its secret, which nobody has. */
export type ApiToken = Omit<Selectable<ApiTokensTable>, 'secret_hash' | 'from_setting'>

const COLUMNS = [
  'id',
  'name',
  'role',
  'makers',
  'expires_at',
  'last_used_at',
  'created_at',
  'updated_at',
] as const

/** The token with this hash, if it has not expired at `now`. */
export function findValidToken(db: Queries, secretHash: Buffer, now: Date): Promise<ApiToken | undefined> {
  return db
    .selectFrom('api_tokens')
    .select(COLUMNS)
    .where('secret_hash', '=', secretHash)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now)]))
    .executeTakeFirst()
}

/** The token with this hash, also one that has expired. */
export function findTokenOfSecret(db: Queries, secretHash: Buffer): Promise<ApiToken | undefined> {
  return db.selectFrom('api_tokens').select(COLUMNS).where('secret_hash', '=', secretHash).executeTakeFirst()
}

/** One token by its id. */
export function findToken(db: Queries, id: string): Promise<ApiToken | undefined> {
  return db.selectFrom('api_tokens').select(COLUMNS).where('id', '=', id).executeTakeFirst()
}

/** Tokens by id, so oldest first, from after `afterId`. */
export function listTokens(db: Queries, limit: number, afterId: string | undefined): Promise<ApiToken[]> {
  return db
    .selectFrom('api_tokens')
    .select(COLUMNS)
    .$if(afterId !== undefined, (query) => query.where('id', '>', afterId ?? ''))
    .orderBy('id')
    .limit(limit)
    .execute()
}

/** Keeps a token; false when one with this secret is there already. */
export async function insertToken(
  trx: Tx,
  {
    makers = [],
    ...token
  }: Pick<ApiToken, 'id' | 'name' | 'role' | 'expires_at'> & {
    makers?: readonly string[]
    secret_hash: Buffer
  },
  now: Date,
): Promise<boolean> {
  const rows = await trx
    .insertInto('api_tokens')
    .values({ ...token, makers: jsonText(makers), created_at: now, updated_at: now })
    .onConflict((conflict) => conflict.column('secret_hash').doNothing())
    .returning('id')
    .execute()
  return rows.length === 1
}

/** Marks the token with this hash as the one that the setting names, and gives those that it named before. */
export async function markFromSetting(trx: Tx, secretHash: Buffer): Promise<ApiToken[]> {
  await trx
    .updateTable('api_tokens')
    .set({ from_setting: true })
    .where('secret_hash', '=', secretHash)
    .execute()
  return trx
    .selectFrom('api_tokens')
    .select(COLUMNS)
    .where('from_setting', '=', true)
    .where('secret_hash', '<>', secretHash)
    .execute()
}

/** Makes other changes to the tokens wait until this transaction ends. */
export async function lockTokens(trx: Tx): Promise<void> {
  await sql`lock table api_tokens in share row exclusive mode`.execute(trx)
}

/** Ids of the tokens that can administer at `now`. */
export async function validAdminIds(trx: Tx, now: Date): Promise<string[]> {
  const rows = await trx
    .selectFrom('api_tokens')
    .select('id')
    .where('role', '=', 'admin')
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now)]))
    .execute()
  return rows.map(({ id }) => id)
}

/** Removes a token with its kept answers. */
export async function deleteToken(trx: Tx, id: string): Promise<void> {
  await trx.deleteFrom('idempotency_keys').where('token_id', '=', id).execute()
  await trx.deleteFrom('api_tokens').where('id', '=', id).execute()
}

/** Notes when tokens were last used, all in one statement; times never go back. */
export async function noteUses(db: Queries, uses: ReadonlyMap<string, Date>): Promise<void> {
  const ids = [...uses.keys()]
  const times = [...uses.values()]
  await sql`
    update api_tokens set last_used_at = used.at
    from unnest(${ids}::text[], ${times}::timestamptz[]) as used (id, at)
    where api_tokens.id = used.id and (last_used_at is null or last_used_at < used.at)`.execute(db)
}

/** Starts an entry; undefined when there is one. */
export async function startKey(
  db: Queries,
  entry: { token_id: string; key: string; request_hash: Buffer; started_at: Date },
): Promise<boolean> {
  const rows = await db
    .insertInto('idempotency_keys')
    .values(entry)
    .onConflict((conflict) => conflict.columns(['token_id', 'key']).doNothing())
    .returning('key')
    .execute()
  return rows.length === 1
}

/** The entry of a token and key. */
export function findKey(
  db: Queries,
  tokenId: string,
  key: string,
): Promise<Selectable<IdempotencyKeysTable> | undefined> {
  return db
    .selectFrom('idempotency_keys')
    .selectAll()
    .where('token_id', '=', tokenId)
    .where('key', '=', key)
    .executeTakeFirst()
}

/** Starts an old entry anew, unless someone else was quicker. */
export async function restartKey(
  db: Queries,
  entry: { token_id: string; key: string; request_hash: Buffer; started_at: Date },
  oldStart: Date,
): Promise<boolean> {
  const { token_id, key, ...fresh } = entry
  const result = await db
    .updateTable('idempotency_keys')
    .set({ ...fresh, status: null, headers: null, body: null })
    .where('token_id', '=', token_id)
    .where('key', '=', key)
    .where('started_at', '=', oldStart)
    .executeTakeFirst()
  return result.numUpdatedRows === 1n
}

/** Keeps the answer of an entry that was started at `startedAt`. */
export async function answerKey(
  db: Queries,
  entry: { tokenId: string; key: string; startedAt: Date },
  answer: { status: number; headers: Record<string, string>; body: string },
): Promise<void> {
  await db
    .updateTable('idempotency_keys')
    .set({ status: answer.status, headers: JSON.stringify(answer.headers), body: answer.body })
    .where('token_id', '=', entry.tokenId)
    .where('key', '=', entry.key)
    .where('started_at', '=', entry.startedAt)
    .execute()
}

/** Forgets an entry that was started at `startedAt` and has no answer. */
export async function deleteUnanswered(
  db: Queries,
  entry: { tokenId: string; key: string; startedAt: Date },
): Promise<void> {
  await db
    .deleteFrom('idempotency_keys')
    .where('token_id', '=', entry.tokenId)
    .where('key', '=', entry.key)
    .where('started_at', '=', entry.startedAt)
    .where('status', 'is', null)
    .execute()
}

/** Forgets entries from before `time`. */
export async function deleteKeysBefore(db: Db, time: Date): Promise<void> {
  await db.kysely.deleteFrom('idempotency_keys').where('started_at', '<', time).execute()
}

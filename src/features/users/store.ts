import type { Selectable } from 'kysely'
import { beginsWith, type Queries, type Tx, withoutNul } from '../../db/index.ts'
import type { UsersTable } from '../../db/tables/users.ts'

type Row = Selectable<UsersTable>

/** A person who may enrol devices, as other slices see them: without the password. */
export type User = Omit<Row, 'user_name_key' | 'password_hash'>

/** What a change writes. */
export type UserColumns = Omit<Row, 'id' | 'version' | 'created_at' | 'updated_at'>

const COLUMNS = [
  'id',
  'user_name',
  'display_name',
  'email',
  'device_limit',
  'enrollment_manager',
  'disabled',
  'must_change_password',
  'password_expires_at',
  'sign_in_source_id',
  'sign_in_subject',
  'version',
  'created_at',
  'updated_at',
] as const

/** The user with this id. */
export function findUser(db: Queries, id: string): Promise<User | undefined> {
  return byId(db, id).executeTakeFirst()
}

/** The user whose name has this key. */
export function findUserByKey(db: Queries, key: string): Promise<User | undefined> {
  return db
    .selectFrom('users')
    .select(COLUMNS)
    .where('user_name_key', '=', withoutNul(key))
    .executeTakeFirst()
}

/** Whom of a source somebody is. */
export type SignIn = { source_id: string; subject: string }

/** The user who is this one of the source. */
export function findUserBySignIn(db: Queries, { source_id, subject }: SignIn): Promise<User | undefined> {
  return db
    .selectFrom('users')
    .select(COLUMNS)
    .where('sign_in_source_id', '=', withoutNul(source_id))
    .where('sign_in_subject', '=', withoutNul(subject))
    .executeTakeFirst()
}

/** A user, and whether they have a password here. */
export type Candidate = User & { has_password: boolean }

/** The user whose name has this key; with `lock` kept from being changed by others until the transaction ends. */
export function findCandidate(
  db: Queries,
  key: string,
  { lock }: { lock: boolean },
): Promise<Candidate | undefined> {
  return db
    .selectFrom('users')
    .select(COLUMNS)
    .select((eb) => eb('password_hash', 'is not', null).$castTo<boolean>().as('has_password'))
    .where('user_name_key', '=', withoutNul(key))
    .$if(lock, (query) => query.forUpdate())
    .executeTakeFirst()
}

/** Forgets whom of this source the users are: the next sign-in tells it again. */
export async function forgetSubjects(trx: Tx, sourceId: string, now: Date): Promise<void> {
  await trx
    .updateTable('users')
    .set((eb) => ({ sign_in_subject: null, version: eb('version', '+', 1), updated_at: now }))
    .where('sign_in_source_id', '=', sourceId)
    .where('sign_in_subject', 'is not', null)
    .execute()
}

/** The names of these users, by id. */
export async function findUserNames(db: Queries, ids: readonly string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map()
  const rows = await db.selectFrom('users').select(['id', 'user_name']).where('id', 'in', ids).execute()
  return new Map(rows.map((row) => [row.id, row.user_name]))
}

/** The form in which the user's password is kept; null when there is none, or no such user. */
export async function findPasswordHash(db: Queries, id: string): Promise<string | null> {
  const row = await db.selectFrom('users').select('password_hash').where('id', '=', id).executeTakeFirst()
  return row?.password_hash ?? null
}

/** The user, kept from being changed or locked by others until the transaction ends. */
export function lockUser(trx: Tx, id: string): Promise<User | undefined> {
  return byId(trx, id).forUpdate().executeTakeFirst()
}

/** Users in the order of their keys, from after `after`; with `key` the one it belongs to. */
export function listUsers(
  db: Queries,
  query: { limit: number; after: string | undefined; key: string | undefined; search: string | undefined },
): Promise<(User & { user_name_key: string })[]> {
  return db
    .selectFrom('users')
    .select([...COLUMNS, 'user_name_key'])
    .where(beginsWith(['id', 'user_name', 'display_name', 'email'], query.search))
    .$if(query.key !== undefined, (rows) => rows.where('user_name_key', '=', withoutNul(query.key ?? '')))
    .$if(query.after !== undefined, (rows) => rows.where('user_name_key', '>', withoutNul(query.after ?? '')))
    .orderBy('user_name_key')
    .limit(query.limit)
    .execute()
}

/** Adds a user; undefined when the name is taken, or whom of a source they are. */
export function insertUser(trx: Tx, id: string, columns: UserColumns, now: Date): Promise<User | undefined> {
  return trx
    .insertInto('users')
    .values({ ...withoutNul(columns), id, created_at: now, updated_at: now })
    .onConflict((conflict) => conflict.doNothing())
    .returning(COLUMNS)
    .executeTakeFirst()
}

/** Writes columns as the user's next version. Throws a unique violation when the name is another's. */
export function updateUser(trx: Tx, id: string, columns: Partial<UserColumns>, now: Date): Promise<User> {
  return trx
    .updateTable('users')
    .set((eb) => ({ ...withoutNul(columns), version: eb('version', '+', 1), updated_at: now }))
    .where('id', '=', id)
    .returning(COLUMNS)
    .executeTakeFirstOrThrow()
}

/** Removes a user. */
export async function deleteUser(trx: Tx, id: string): Promise<void> {
  await trx.deleteFrom('users').where('id', '=', id).execute()
}

function byId(db: Queries, id: string) {
  return db.selectFrom('users').select(COLUMNS).where('id', '=', withoutNul(id))
}

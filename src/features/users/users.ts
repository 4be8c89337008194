import { type Db, type Queries, type Tx, isUniqueViolation } from '../../db/index.ts'
import { holdSourceKind, liveDevicesOf } from '../../db/statements/uses.ts'
import type { Act } from '../../kernel/act.ts'
import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import type { Turn } from '../../kernel/fair-queue.ts'
import { newId } from '../../kernel/ids.ts'
import { type Page, decodeCursor, page } from '../../kernel/paging.ts'
import type { Events } from '../events/index.ts'
import type { SettingsDoor } from '../settings/index.ts'
import { userChanged, userFact } from './facts.ts'
import { createLinking } from './linking.ts'
import { subjectAt, userNameKey } from './names.ts'
import { createPasswords } from './passwords.ts'
import {
  type SignIn,
  type User,
  type UserColumns,
  deleteUser,
  findPasswordHash,
  findUser,
  findUserByKey,
  findUserNames,
  forgetSubjects,
  insertUser,
  listUsers,
  lockUser,
  updateUser,
} from './store.ts'

/** Whoever sets a password waits no longer than this for its turn. */
const MAX_WAIT_MS = 10_000

/** What describes a user, but the password is as it was typed. */
export type UserFields = Omit<
  UserColumns,
  'user_name_key' | 'password_hash' | 'sign_in_source_id' | 'sign_in_subject'
> & { password: string | null; sign_in?: SignIn | null }

/** People who enrol devices. */
export type Users = ReturnType<typeof createUsers>

/** What the users are made of. */
type UsersDeps = {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  settings: Pick<SettingsDoor, 'get'>
}

/** The users; every change is told as an event. */
export function createUsers(deps: UsersDeps) {
  const { db, clock, events } = deps
  const passwords = createPasswords({ clock })
  const linking = createLinking(deps)

  async function create(fields: UserFields, act: Act): Promise<User> {
    const columns = await toColumns(passwords, fields, act)
    const now = clock.now()
    return db.transaction(async (trx) => {
      const all = { ...columns, ...(await signInColumns(trx, fields)) } as UserColumns
      const user = await insertUser(trx, newId(now), all, now)
      if (user === undefined) {
        throw (await findUserByKey(trx, all.user_name_key)) === undefined ? linked() : taken()
      }
      await events.emit(trx, userFact('user.created', user, act))
      return user
    })
  }

  async function update(id: string, patch: Partial<UserFields>, act: Act): Promise<User> {
    // The hash takes its time; no lock is held for that long.
    const columns = await toColumns(passwords, patch, act)
    try {
      return await db.transaction(async (trx) => {
        const before = (await lockUser(trx, id)) ?? missing()
        act.checkVersion(before.version)
        const all = { ...columns, ...(await signInColumns(trx, patch)) }
        const user = await updateUser(trx, id, all, clock.now())
        await events.emit(trx, userChanged(user, Object.keys(patch), act))
        return user
      })
    } catch (error) {
      if (isUniqueViolation(error, 'users_sign_in')) throw linked()
      throw isUniqueViolation(error) ? taken() : error
    }
  }

  async function remove(id: string, act: Act): Promise<void> {
    await db.transaction(async (trx) => {
      const user = (await lockUser(trx, id)) ?? missing()
      act.checkVersion(user.version)
      const live = await liveDevicesOf(trx, id)
      if (live > 0) throw new AppError('conflict', `The user still has ${live} enrolled devices.`)
      await deleteUser(trx, id)
      await events.emit(trx, userFact('user.deleted', user, act))
    })
  }

  return {
    create,
    update,
    remove,
    /** See `createLinking`. */
    ...linking,
    /** Forgets whom of this source the users are, as it now stands for another one: the next sign-in tells it again. */
    forgetSubjects: (trx: Tx, sourceId: string): Promise<void> => forgetSubjects(trx, sourceId, clock.now()),
    /**
     * Whether this is the user's password; false for nobody and for users without one, in the same time (about 0.2 s, on
     * the thread pool). Not inside a transaction: the embedded database has one connection. Throws AppError `overloaded` when
     * the turn does not come in time.
     */
    async verifyPassword(user: Pick<User, 'id'> | undefined, password: string, turn: Turn): Promise<boolean> {
      const kept = await findPasswordHash(db.kysely, user?.id ?? '')
      return passwords.match(password, kept, turn)
    },
    /** The user with this id, if there is one. */
    find: (executor: Queries, id: string) => findUser(executor, id),
    /** The user of this name, whatever its spelling. */
    findByName: (executor: Queries, userName: string) => findUserByKey(executor, userNameKey(userName)),
    /** The names of these users, by id. */
    namesOf: (executor: Queries, ids: readonly string[]) => findUserNames(executor, ids),
    /** The user, locked until the transaction ends: for counting devices against the limit. */
    lock: (trx: Tx, id: string) => lockUser(trx, id),
    /**
     * How many devices the user may have: their own limit, else the default one; null = any number. Inside a transaction
     * `executor` must be its `trx`: the embedded database has one connection.
     */
    async limitOf(user: Pick<User, 'device_limit'>, executor: Queries): Promise<number | null> {
      return user.device_limit ?? (await deps.settings.get(executor)).default_device_limit
    },
    /** Throws AppError `not_found`. */
    async get(id: string): Promise<User> {
      return (await findUser(db.kysely, id)) ?? missing()
    },
    async list(query: {
      limit: number
      cursor?: string
      user_name?: string
      search?: string
    }): Promise<Page<User>> {
      const after = decodeCursor(query.cursor, ['string'])?.[0]
      const key = query.user_name === undefined ? undefined : userNameKey(query.user_name)
      const rows = await listUsers(db.kysely, { limit: query.limit + 1, after, key, search: query.search })
      const { items, next_cursor } = page(rows, query.limit, (row) => [row.user_name_key])
      return { items: items.map(withoutKey), next_cursor }
    },
  }
}

/** The given fields as columns; those left out are left out. */
async function toColumns(
  passwords: ReturnType<typeof createPasswords>,
  fields: Partial<UserFields>,
  { by }: Act,
): Promise<Partial<UserColumns>> {
  const { password, sign_in: _signIn, ...columns } = fields
  const turn = { lane: `by:${by?.id}`, maxWaitMs: MAX_WAIT_MS }
  return {
    ...columns,
    ...(columns.user_name === undefined ? {} : { user_name_key: userNameKey(columns.user_name) }),
    ...(password === undefined
      ? {}
      : { password_hash: password === null ? null : await passwords.hash(password, turn) }),
  }
}

/** Whom of a source the user is, as an administrator says. */
async function signInColumns(
  trx: Tx,
  { sign_in }: Partial<UserFields>,
): Promise<Pick<Partial<UserColumns>, 'sign_in_source_id' | 'sign_in_subject'>> {
  if (sign_in === undefined) return {}
  if (sign_in === null) return { sign_in_source_id: null, sign_in_subject: null }
  const kind = await holdSourceKind(trx, sign_in.source_id)
  const subject = kind && subjectAt(kind, sign_in.subject)
  if (subject === undefined) throw noSource()
  return { sign_in_source_id: sign_in.source_id, sign_in_subject: subject }
}

function withoutKey(row: User & { user_name_key: string }): User {
  const { user_name_key: _key, ...user } = row
  return user
}

function missing(): never {
  throw new AppError('not_found', 'There is no user with this id.')
}

function taken(): AppError {
  return new AppError('conflict', 'There is a user with this user_name already.', {
    fields: [{ path: 'user_name', message: 'is taken' }],
  })
}

function linked(): AppError {
  return new AppError('conflict', 'Another user is this one of the sign-in source already.', {
    fields: [{ path: 'sign_in', message: 'is taken' }],
  })
}

function noSource(): AppError {
  return new AppError(
    'invalid_request',
    'sign_in.source_id names no sign-in source that can vouch for people.',
    {
      fields: [{ path: 'sign_in.source_id', message: 'names no directory and no OpenID provider' }],
    },
  )
}

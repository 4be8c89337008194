import { type Db, type Queries, type Tx, isUniqueViolation } from '../../db/index.ts'
import { actOfServer } from '../../kernel/act.ts'
import { AppError } from '../../kernel/errors.ts'
import type { Clock } from '../../kernel/clock.ts'
import { newId } from '../../kernel/ids.ts'
import type { Events } from '../events/index.ts'
import { userChanged, userFact } from './facts.ts'
import { MAX_DISPLAY_NAME, isEmail, isUserName, userNameKey } from './names.ts'
import {
  type Candidate,
  type SignIn,
  type User,
  type UserColumns,
  findCandidate,
  findUserBySignIn,
  insertUser,
  updateUser,
} from './store.ts'

/** Someone whom a sign-in source vouches for. */
export type Person = {
  sign_in: SignIn
  user_name: string
  display_name?: string | null | undefined
  email?: string | null | undefined
}

/** What a source may do: make users, and become those who have a password or are linked otherwise. */
export type LinkingRules = { creates: boolean; linksExisting: boolean }

/**
 * Which user a person is: `known` by the source and their name there, `free` to be linked to them, `taken` by a password or
 * another link, to be made (`new`), or `unknown`.
 */
type Standing =
  | { is: 'known'; user: User }
  | { is: 'free'; user: Candidate }
  | { is: 'taken'; user: Candidate }
  | { is: 'new' }
  | { is: 'unknown' }

/** Which user a person is whom a source vouches for; one that is linked or made is told as an event. */
export function createLinking(deps: { db: Db; clock: Clock; events: Pick<Events, 'emit'> }) {
  const { db, clock, events } = deps

  /** The name decides only where the source's own name for the person is not known yet. */
  async function standingOf(
    executor: Queries,
    { sign_in, user_name }: Person,
    rules: LinkingRules,
    { lock = false } = {},
  ): Promise<Standing> {
    const known = await findUserBySignIn(executor, sign_in)
    if (known !== undefined) return { is: 'known', user: known }
    const user = await findCandidate(executor, userNameKey(user_name), { lock })
    if (user === undefined) return { is: rules.creates ? 'new' : 'unknown' }
    // Since the first look a neighbour may have made or linked it.
    if (user.sign_in_source_id === sign_in.source_id && user.sign_in_subject === sign_in.subject)
      return { is: 'known', user }
    return { is: rules.linksExisting || isFreeFor(user, sign_in) ? 'free' : 'taken', user }
  }

  async function settle(trx: Tx, person: Person, rules: LinkingRules, requestId: string): Promise<Standing> {
    for (;;) {
      const standing = await standingOf(trx, person, rules, { lock: true })
      const now = clock.now()
      const act = actOfServer('page', requestId)
      const { source_id: sign_in_source_id, subject: sign_in_subject } = person.sign_in
      if (standing.is === 'free') {
        const user = await updateUser(trx, standing.user.id, { sign_in_source_id, sign_in_subject }, now)
        await events.emit(trx, userChanged(user, ['sign_in'], act))
        return { is: 'known', user }
      }
      if (standing.is !== 'new') return standing
      // Waits for a neighbour who adds the same one; nothing comes back then, and the next look finds it.
      const user = await insertUser(trx, newId(now), columnsOf(person), now)
      if (user === undefined) continue
      await events.emit(trx, userFact('user.created', user, act))
      return { is: 'known', user }
    }
  }

  return {
    /** Which user this person is as things stand; nothing is written. */
    standingOf: (person: Person, rules: LinkingRules) => standingOf(db.kysely, person, rules),
    /**
     * The same, with the link or the user made where the rules allow it: then the answer is `known`. At any number of sign-ins
     * at once it is one user; details of one who was there are left as they are. Throws AppError `invalid_request` when the
     * name cannot be one of a user. Not inside a transaction.
     */
    async link(person: Person, rules: LinkingRules, requestId: string): Promise<Standing> {
      const standing = await standingOf(db.kysely, person, rules)
      if (standing.is !== 'free' && standing.is !== 'new') return standing
      const settled = () => db.transaction((trx) => settle(trx, person, rules, requestId))
      try {
        return await settled()
      } catch (error) {
        // A neighbour has linked the same person to another user in the meantime.
        if (isUniqueViolation(error)) return settled()
        throw error
      }
    },
  }
}

function isFreeFor(user: Candidate, { source_id }: SignIn): boolean {
  const { has_password, sign_in_source_id, sign_in_subject } = user
  return !has_password && sign_in_subject === null && (sign_in_source_id ?? source_id) === source_id
}

/** A directory's texts are not always what ours must be: what does not fit is left out, but for the name. */
function columnsOf(person: Person): UserColumns {
  const userName = person.user_name.trim()
  if (!isUserName(userName)) throw new AppError('invalid_request', 'This cannot be the name of a user.')
  const { display_name: displayName, email, sign_in } = person
  return {
    user_name: userName,
    user_name_key: userNameKey(userName),
    display_name: (displayName ?? '').slice(0, MAX_DISPLAY_NAME),
    email: email !== undefined && email !== null && isEmail(email) ? email : null,
    password_hash: null,
    device_limit: null,
    enrollment_manager: false,
    disabled: false,
    must_change_password: false,
    password_expires_at: null,
    sign_in_source_id: sign_in.source_id,
    sign_in_subject: sign_in.subject,
  }
}

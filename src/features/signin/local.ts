import type { Db } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Turn } from '../../kernel/fair-queue.ts'
import type { User, Users } from '../users/index.ts'
import { type SignInResult, refuse } from './result.ts'

/** What is known of a password: `isRight` is undefined when nothing was learnt of it. */
export type Proof<T = SignInResult> = { readonly isRight: boolean | undefined; readonly result: T }

/** The check against the accounts of this server. Unknown names take as long as wrong passwords. */
export function createLocalCheck(deps: {
  db: Db
  clock: Clock
  users: Pick<Users, 'findByName' | 'verifyPassword'>
}) {
  const { db, clock, users } = deps

  return async function checkLocally(userName: string, password: string, turn: Turn): Promise<Proof> {
    const user = await users.findByName(db.kysely, userName)
    const isRight = await users.verifyPassword(user, password, turn)
    if (user === undefined) {
      return { isRight, result: refuse('user_unknown', 'there is no local account of this name') }
    }
    if (!isRight) return { isRight, result: refuse('invalid_credentials', 'the password is wrong') }
    return { isRight, result: judge(user, clock.now()) }
  }
}

/** What stands against someone whose password is right. */
function judge(user: User, now: Date): SignInResult {
  if (user.disabled) return refuse('user_disabled', `the local account ${user.user_name} is disabled`)
  if (user.must_change_password) {
    return refuse('password_change_required', 'the password is right but must be changed first', { user })
  }
  const { password_expires_at: expiry } = user
  return expiry !== null && expiry <= now
    ? refuse('password_expired', `the password is right but has expired on ${expiry.toISOString()}`, { user })
    : { ok: true, user }
}

import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { type Turn, createFairQueue } from '../../kernel/fair-queue.ts'
import type { Proof } from './local.ts'
import type { Lockout } from './lockout/lockout.ts'
import { type SignInRefusal, busy, refuse } from './result.ts'

/** Someone who wants to sign in with a user name and a password, and where the request came from. */
export type Attempt = { userName: string; password: string; address: string; requestId: string }

const MAX_USER_NAME = 255
const MAX_PASSWORD = 1024

/** Tries of one account from one network at once: more of them would pass the lock-out together. */
const TRIES_AT_ONCE = 4
/** The rest of them wait here; what they then wait for has its own queue. */
const LIMITS = { width: 10_000, perLane: TRIES_AT_ONCE, maxWaiting: 2_000, maxPerLane: 500 }

/** Whoever would wait longer for their turn is told to come again. */
const MAX_WAIT_MS = 10_000

/** The guard before every check of a password: it slows down those who fail, and lets nobody wait for long. */
export function createGuard({ clock, lockout }: { clock: Clock; lockout: Lockout }) {
  const tries = createFairQueue({ ...LIMITS, clock })

  /**
   * What `check` finds, or why it was not made: impossible credentials, too many failures of this account in this network (or of
   * others there), too much else to do. A wrong password counts, and so does a right one. `turn` is for the queues of what
   * checks.
   */
  return async function guarded<T>(
    attempt: Attempt,
    check: (turn: Turn) => Promise<Proof<T>>,
  ): Promise<T | SignInRefusal> {
    if (!isPossible(attempt)) {
      return refuse('invalid_credentials', 'the user name or the password is empty, too long or not a text')
    }
    const subjects = lockout.subjectsOf(attempt.userName, attempt.address)
    const { retryAfterSeconds } = await lockout.check(subjects)
    if (retryAfterSeconds > 0) return tooMany(retryAfterSeconds)
    const end = clock.now().getTime() + MAX_WAIT_MS
    const turn = (lane: string): Turn => ({ lane, maxWaitMs: Math.max(0, end - clock.now().getTime()) })

    /** The lock-out is looked at again when the turn comes: much may have failed while this one waited. */
    async function tryNow(): Promise<T | SignInRefusal> {
      const verdict = await lockout.check(subjects)
      if (verdict.retryAfterSeconds > 0) return tooMany(verdict.retryAfterSeconds)
      if (verdict.delayMs > 0) await new Promise<void>((resolve) => clock.after(verdict.delayMs, resolve))
      const { isRight, result } = await check(turn(subjects.network))
      if (isRight === false) await lockout.noteFailure(subjects, attempt.requestId)
      if (isRight === true && verdict.hasFailed) await lockout.noteSuccess(subjects)
      return result
    }

    try {
      return await tries.run(turn(subjects.pair), tryNow)
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'overloaded') throw error
      return busy()
    }
  }
}

function isPossible({ userName, password }: Attempt): boolean {
  return (
    userName.trim() !== '' &&
    userName.length <= MAX_USER_NAME &&
    userName.isWellFormed() &&
    !/\p{Cc}/u.test(userName) &&
    password !== '' &&
    password.length <= MAX_PASSWORD &&
    password.isWellFormed() &&
    !password.includes('\0')
  )
}

function tooMany(retryAfterSeconds: number): SignInRefusal {
  return refuse(
    'too_many_failures',
    `too many sign-ins of this user, or of others, have failed in this network; the next try counts in ${retryAfterSeconds} s`,
    { retryAfterSeconds },
  )
}

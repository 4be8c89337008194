import type { Db, Tx } from '../../../db/index.ts'
import { addTime, type Clock } from '../../../kernel/clock.ts'
import { sha256 } from '../../../kernel/ids.ts'
import type { Log } from '../../../kernel/log.ts'
import { networkOf } from '../../../kernel/network.ts'
import { userNameKey } from '../../users/index.ts'
import {
  type Failures,
  countFailure,
  deleteFailuresBefore,
  findFailures,
  forgetFailures,
  lockSubject,
} from './store.ts'

/** Failures count for this long. */
const WINDOW_SECONDS = 300
const SHORTEST_PAUSE_SECONDS = 15

/**
 * From `limit` failures within the window on, further tries wait; the pause doubles with every `step` failures more, up to
 * `longest` seconds. A user is far below the lock-outs of directories; an address is a whole company in the morning.
 */
const RULES = {
  user: { limit: 10, step: 1, longest: 240 },
  address: { limit: 1_000, step: 50, longest: 60 },
} as const

type Kind = keyof typeof RULES

/** Who tries to sign in and from where, in the forms in which their failures are counted. */
export interface Subjects {
  readonly user: string
  readonly address: string
}

/** Slows down those who fail, across all processes. */
export type Lockout = ReturnType<typeof createLockout>

/**
 * What failures are counted by. Names are hashed: people type passwords where a name is asked for. The network is that of
 * `networkOf`.
 */
export function subjectsOf(userName: string, address: string): Subjects {
  return {
    user: `user:${sha256(userNameKey(userName)).toString('hex')}`,
    address: `address:${networkOf(address)}`,
  }
}

/** Makes the lock-out. Only failures count: being many is no reason to wait. */
export function createLockout(deps: { db: Db; clock: Clock; log: Log }) {
  const { db, clock, log } = deps

  async function count(trx: Tx, kind: Kind, subject: string, requestId: string): Promise<Failures> {
    const now = clock.now()
    const failures = await countFailure(trx, subject, now, WINDOW_SECONDS)
    const seconds = pauseAfter(kind, levelOf(failures, now))
    if (seconds > 0) {
      await lockSubject(trx, subject, addTime(now, seconds, 'second'))
      log.warn(
        { event: 'sign_in.slowed', reason: 'too_many_failures', subject_kind: kind, request_id: requestId },
        'too many sign-ins have failed; further ones wait',
      )
    }
    return failures
  }

  return {
    /** Seconds that a try has to wait (0 = none), and whether the user has failures that a success would end. */
    async check(subjects: Subjects): Promise<{ retryAfterSeconds: number; hasFailed: boolean }> {
      const now = clock.now().getTime()
      const rows = await findFailures(db.kysely, [subjects.user, subjects.address])
      const ends = rows.map((row) => row.locked_until?.getTime() ?? 0)
      return {
        retryAfterSeconds: Math.max(0, ...ends.map((end) => Math.ceil((end - now) / 1000))),
        hasFailed: rows.some(({ subject }) => subject === subjects.user),
      }
    },
    /** Counts a wrong password. An address is charged once for each user in a window, however often they mistype. */
    async noteFailure(subjects: Subjects, requestId: string): Promise<void> {
      await db.transaction(async (trx) => {
        const failures = await count(trx, 'user', subjects.user, requestId)
        const isFirst = failures.count + failures.previous === 1
        if (isFirst) await count(trx, 'address', subjects.address, requestId)
      })
    },
    /** Forgets the user's failures. */
    noteSuccess: (subjects: Subjects): Promise<void> => forgetFailures(db.kysely, subjects.user),
    /** Deletes what counts no more; every pause is shorter than two windows. */
    expire: (): Promise<void> =>
      deleteFailuresBefore(db.kysely, addTime(clock.now(), -3 * WINDOW_SECONDS, 'second')),
  }
}

/** Failures within the window that ends now: those of the window before count as far as it reaches into it. */
function levelOf({ count, previous, window_started_at }: Failures, now: Date): number {
  const elapsed = (now.getTime() - window_started_at.getTime()) / 1000
  return count + previous * Math.max(0, 1 - elapsed / WINDOW_SECONDS)
}

function pauseAfter(kind: Kind, level: number): number {
  const { limit, step, longest } = RULES[kind]
  if (level < limit) return 0
  return Math.min(longest, SHORTEST_PAUSE_SECONDS * 2 ** Math.floor((level - limit) / step))
}

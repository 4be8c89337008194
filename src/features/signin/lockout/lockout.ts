import type { Db, Tx } from '../../../db/index.ts'
import { addTime, type Clock } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import { networkOf } from '../../../kernel/network.ts'
import type { SecretBox } from '../../../kernel/secret-box.ts'
import { accountKey } from './account-key.ts'
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
 * `longest` seconds. An account in one network is far below the lock-outs of directories; a network is a whole company in the
 * morning.
 */
const RULES = {
  pair: { limit: 10, step: 1, longest: 240 },
  network: { limit: 1_000, step: 50, longest: 60 },
} as const

/**
 * An account with this many failures in other networks is being guessed at: each try takes longer, and a network has fewer. It is never locked for a network that has not failed, or whoever knows its name could keep its owner out.
 */
const GUESSED_AT = 10
const TRIES_WHEN_GUESSED_AT = 3
const DELAY_MS_PER_FAILURE = 10
const LONGEST_DELAY_MS = 2_000

/**
 * Bits of the keyed hash by which failures are counted: so many rows there are at most, whatever names strangers think of.
 * Whoever shares a row with somebody by chance is at worst a little slower.
 */
const BITS = { account: 16, pair: 18, network: 16 } as const

/** Who tries to sign in and from where, in the forms in which their failures are counted. */
interface Subjects {
  /** The account, from anywhere. */
  readonly account: string
  /** The account in this network. */
  readonly pair: string
  readonly network: string
}

/** What the failures of before mean for a try. */
interface Verdict {
  /** Seconds for which a try has to wait; 0 = none. */
  readonly retryAfterSeconds: number
  /** By how much a try that is made is slowed down. */
  readonly delayMs: number
  /** Whether a success would end anything. */
  readonly hasFailed: boolean
}

/** Slows down those who fail, across all processes. */
export type Lockout = ReturnType<typeof createLockout>

/** The lock-out. Only failures count: being many is no reason to wait. */
export function createLockout(deps: { db: Db; clock: Clock; log: Log; secretBox: Pick<SecretBox, 'mac'> }) {
  const { db, clock, log, secretBox } = deps

  function subject(kind: keyof typeof BITS, ...parts: string[]): string {
    const number = secretBox.mac(JSON.stringify([kind, ...parts])).readUInt32BE() >>> (32 - BITS[kind])
    return `${kind}:${number}`
  }

  async function pause(
    trx: Tx,
    kind: keyof typeof RULES,
    failures: Failures,
    context: { requestId: string; limit?: number },
  ): Promise<void> {
    const { requestId, limit = RULES[kind].limit } = context
    const now = clock.now()
    const seconds = pauseAfter(kind, levelOf(failures, now) - limit)
    if (seconds === 0) return
    await lockSubject(trx, failures.subject, addTime(now, seconds, 'second'))
    log.warn(
      { event: 'sign_in.slowed', reason: 'too_many_failures', subject_kind: kind, request_id: requestId },
      'too many sign-ins have failed; further ones wait',
    )
  }

  return {
    /**
     * What failures are counted by. People type passwords where a name is asked for: nothing of it can be read from the
     * database. The network is that of `networkOf`.
     */
    subjectsOf(userName: string, address: string): Subjects {
      const [account, network] = [accountKey(userName), networkOf(address)]
      return {
        account: subject('account', account),
        pair: subject('pair', account, network),
        network: subject('network', network),
      }
    },
    /** What stands against a try. */
    async check({ account, pair, network }: Subjects): Promise<Verdict> {
      const now = clock.now()
      const rows = await findFailures(db.kysely, [account, pair, network])
      const ends = rows.map((row) => row.locked_until?.getTime() ?? 0)
      const level = (wanted: string) => {
        const row = rows.find((each) => each.subject === wanted)
        return row === undefined ? 0 : levelOf(row, now)
      }
      return {
        retryAfterSeconds: Math.max(0, ...ends.map((end) => Math.ceil((end - now.getTime()) / 1000))),
        delayMs: delayAt(level(account) - level(pair)),
        hasFailed: rows.some((row) => row.subject === pair),
      }
    },
    /** Counts a wrong password. A network is charged once for each account in a window, however often they mistype. */
    async noteFailure({ account, pair, network }: Subjects, requestId: string): Promise<void> {
      const now = clock.now()
      await db.transaction(async (trx) => {
        const everywhere = await countFailure(trx, account, now, WINDOW_SECONDS)
        const here = await countFailure(trx, pair, now, WINDOW_SECONDS)
        const isGuessedAt = levelOf(everywhere, now) - levelOf(here, now) >= GUESSED_AT
        const limit = isGuessedAt ? TRIES_WHEN_GUESSED_AT : RULES.pair.limit
        await pause(trx, 'pair', here, { requestId, limit })
        if (here.count + here.previous > 1) return
        const ofNetwork = await countFailure(trx, network, now, WINDOW_SECONDS)
        await pause(trx, 'network', ofNetwork, { requestId })
      })
    },
    /** Forgets the failures of the account in this network. */
    noteSuccess: ({ pair }: Subjects): Promise<void> => forgetFailures(db.kysely, pair),
    /** Deletes what counts no more; every pause is shorter than two windows. */
    expire: (): Promise<void> =>
      deleteFailuresBefore(db.kysely, addTime(clock.now(), -3 * WINDOW_SECONDS, 'second')),
  }
}

/** Failures within the window that ends now: those of the window before count as far as it reaches into it. */
function levelOf({ count, previous, window_started_at }: Failures, now: Date): number {
  const elapsed = (now.getTime() - window_started_at.getTime()) / 1000
  if (elapsed < WINDOW_SECONDS) return count + previous * (1 - elapsed / WINDOW_SECONDS)
  return count * Math.max(0, 2 - elapsed / WINDOW_SECONDS)
}

function pauseAfter(kind: keyof typeof RULES, tooMany: number): number {
  const { step, longest } = RULES[kind]
  return tooMany < 0 ? 0 : Math.min(longest, SHORTEST_PAUSE_SECONDS * 2 ** Math.floor(tooMany / step))
}

function delayAt(level: number): number {
  return level < GUESSED_AT ? 0 : Math.min(LONGEST_DELAY_MS, level * DELAY_MS_PER_FAILURE)
}

import type { Kysely, Transaction } from 'kysely'
import { isWorthAnotherTry } from './errors.ts'
import type { Database } from './tables/index.ts'

/** A transaction in progress; functions that must be atomic with others take one. */
export type Tx = Transaction<Database>

const MAX_TRANSACTION_TRIES = 5
const LONGEST_RETRY_PAUSE_MS = 20

type Effect = () => void
type LastWork = () => Promise<void>

const effects = new WeakMap<Tx, Effect[]>()
const lastWork = new WeakMap<Tx, LastWork[]>()

/**
 * Registers what is to happen once the transaction has committed (a wake-up, a count, a log line); after a rollback it
 * never does. Effects run in order; what they throw is logged. Throws when `trx` is not one of `Db.transaction()`.
 */
export function afterCommit(trx: Tx, effect: Effect): void {
  const registered = effects.get(trx)
  if (registered === undefined)
    throw new Error('afterCommit takes the transaction that Db.transaction() gave.')
  registered.push(effect)
}

/** Registers what a transaction does at its end, when all else is done. Throws as `afterCommit` does. */
export function beforeCommit(trx: Tx, work: LastWork): void {
  const registered = lastWork.get(trx)
  if (registered === undefined)
    throw new Error('beforeCommit takes the transaction that Db.transaction() gave.')
  registered.push(work)
}

/**
 * Runs `work` in a transaction, again when a deadlock or a serialization failure ended it, then its effects. What an
 * effect throws goes to `onEffectError`: the transaction has succeeded.
 */
export async function runTransaction<T>(
  kysely: Kysely<Database>,
  work: (trx: Tx) => Promise<T>,
  onEffectError: (error: unknown) => void,
): Promise<T> {
  const { result, registered } = await tryAgain(() => runOnce(kysely, work))
  runEffects(registered, onEffectError)
  return result
}

/** Does atomic work again, up to 5 times in all, when a deadlock or a serialization failure ended it. */
export async function tryAgain<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work()
    } catch (error) {
      if (tries === MAX_TRANSACTION_TRIES || !isWorthAnotherTry(error)) throw error
      // The neighbour that won needs a moment; two losers must not meet again.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * LONGEST_RETRY_PAUSE_MS))
    }
  }
}

async function runOnce<T>(
  kysely: Kysely<Database>,
  work: (trx: Tx) => Promise<T>,
): Promise<{ result: T; registered: Effect[] }> {
  const registered: Effect[] = []
  const result = await kysely.transaction().execute(async (trx) => {
    const last: LastWork[] = []
    effects.set(trx, registered)
    lastWork.set(trx, last)
    const done = await work(trx)
    for (const each of last) await each()
    return done
  })
  return { result, registered }
}

function runEffects(registered: Effect[], onError: (error: unknown) => void): void {
  for (const effect of registered) {
    try {
      effect()
    } catch (error) {
      onError(error)
    }
  }
}

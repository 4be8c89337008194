import type { Db } from '../../db/index.ts'
import { SEALED_FOR } from '../../db/sealed-columns.ts'
import { type Clock, addTime } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import { answerKey, deleteKeysBefore, deleteUnanswered, findKey, restartKey, startKey } from './store.ts'

const KEPT_HOURS = 24
/** After this an entry without an answer counts as left behind by a process that died. */
const TAKEOVER_SECONDS = 60
const MAX_TRIES = 5

/** An answer worth repeating. */
type KeptAnswer = { status: number; headers: Record<string, string>; body: string }

/** What is known of a key when a request comes with it. */
type KeyState =
  | { kind: 'started'; startedAt: Date }
  | { kind: 'running' }
  | { kind: 'reused' }
  | { kind: 'answered'; answer: KeptAnswer }

type Entry = { tokenId: string; key: string; startedAt: Date }

/**
 * Remembers for 24 hours what each token's Idempotency-Keys were answered. Answers are kept sealed, since one may hold a
 * secret that is shown once.
 */
export type IdempotencyKeys = ReturnType<typeof createIdempotencyKeys>

/** The memory of keys. A key with another request, or one whose request is still under way, is told apart. */
export function createIdempotencyKeys(deps: { db: Db; clock: Clock; secretBox: SecretBox }) {
  const { db, clock, secretBox } = deps

  /** Starts a request, or says what became of the first one with this key. */
  async function begin(request: { tokenId: string; key: string; requestHash: Buffer }): Promise<KeyState> {
    const { tokenId, key, requestHash } = request
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const now = clock.now()
      const fresh = { token_id: tokenId, key, request_hash: requestHash, started_at: now }
      if (await startKey(db.kysely, fresh)) return { kind: 'started', startedAt: now }
      const known = await findKey(db.kysely, tokenId, key)
      if (known === undefined) continue
      const isOld = known.started_at < addTime(now, -KEPT_HOURS, 'hour')
      const isLeft = known.status === null && known.started_at < addTime(now, -TAKEOVER_SECONDS, 'second')
      const isSame = known.request_hash.equals(requestHash)
      if (isOld || (isLeft && isSame)) {
        if (await restartKey(db.kysely, fresh, known.started_at)) return { kind: 'started', startedAt: now }
        continue
      }
      if (!isSame) return { kind: 'reused' }
      if (known.status === null) return { kind: 'running' }
      const body = secretBox.open(
        Buffer.from(known.body ?? '', 'base64'),
        SEALED_FOR.keptAnswer(tokenId, key),
      )
      const answer = { status: known.status, headers: known.headers ?? {}, body: body.toString() }
      return { kind: 'answered', answer }
    }
    throw new AppError('overloaded')
  }

  return {
    begin,
    /** Keeps the answer of a request that was started. */
    async finish({ answer, ...entry }: Entry & { answer: KeptAnswer }): Promise<void> {
      const sealed = secretBox.seal(Buffer.from(answer.body), SEALED_FOR.keptAnswer(entry.tokenId, entry.key))
      await answerKey(db.kysely, entry, { ...answer, body: sealed.toString('base64') })
    },
    /** Forgets a request that was started and refused. */
    abandon: (entry: Entry) => deleteUnanswered(db.kysely, entry),
    /** Forgets what is older than 24 hours; for a background job. */
    expire: () => deleteKeysBefore(db, addTime(clock.now(), -KEPT_HOURS, 'hour')),
  }
}

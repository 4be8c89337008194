import { findChallenge } from '../../db/statements/issue.ts'
import { randomBytes } from 'node:crypto'
import { withoutNul, type Db, type Tx } from '../../db/index.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import { sha256 } from '../../kernel/ids.ts'
import { deleteChallenges, insertChallenges, trimChallenges, voidChallengesOf } from './store.ts'
import type { Challenge, LinkPurpose, NewChallenge, Purpose } from './types.ts'

const CHALLENGE_MINUTES = 15
const CHALLENGE_BYTES = 20
/** An expired one is kept for a while, so that a late request is told that it is late rather than unknown. */
const KEPT_DAYS = 30
/** One that was never used and of which no attempt knows, as whoever knows a link can fetch any number. */
const UNUSED_KEPT_DAYS = 1

/** What a challenge is worth to a certificate request for a key. */
export type ChallengeState =
  | { state: 'usable'; challenge: Challenge }
  | { state: 'used_for_this_key'; challenge: Challenge; certificate: Buffer }
  | { state: 'challenge_used' | 'challenge_expired' | 'challenge_invalid'; challenge: Challenge | undefined }

/** SCEP challenges: single-use secrets of which only the hash is kept. */
export function createChallenges(deps: { db: Db; clock: Clock }) {
  const { db, clock } = deps

  /** Makes challenges, each good for one key, for 15 minutes unless it says otherwise; hexadecimal, since every client can carry that. */
  function make(
    purposes: readonly Purpose[],
    minutes = CHALLENGE_MINUTES,
  ): { secrets: string[]; rows: NewChallenge[] } {
    const expires_at = addTime(clock.now(), minutes, 'minute')
    const secrets = purposes.map(() => randomBytes(CHALLENGE_BYTES).toString('hex'))
    const rows = purposes.map((purpose, at) => {
      const attempt = 'attemptId' in purpose ? purpose : undefined
      return {
        hash: sha256(secrets[at] ?? ''),
        attempt_id: attempt?.attemptId ?? null,
        enrollment_id: 'enrollmentId' in purpose ? purpose.enrollmentId : null,
        serial_number: withoutNul(attempt?.serial_number ?? null),
        udid: withoutNul(attempt?.udid ?? null),
        way: attempt?.way ?? null,
        link_id: attempt?.linkId ?? null,
        policy_id: attempt?.policyId ?? null,
        user_id: attempt?.user?.id ?? null,
        user_name: attempt?.user?.name ?? null,
        expires_at,
      }
    })
    return { secrets, rows }
  }

  /** The same, kept with `trx`; gives the secrets. */
  async function create(trx: Tx, purposes: readonly Purpose[], minutes?: number): Promise<string[]> {
    const { secrets, rows } = make(purposes, minutes)
    await insertChallenges(trx, rows, clock.now())
    return secrets
  }

  return {
    make,
    create,
    /** The same for links; the oldest unused ones of a link go when there are too many. */
    async createForLinks(trx: Tx, purposes: readonly LinkPurpose[]): Promise<string[]> {
      const ofLinks = purposes.map((purpose) => ({ ...purpose, way: 'link' as const }))
      const secrets = await create(trx, ofLinks)
      await trimChallenges(trx, [...new Set(purposes.map(({ linkId }) => linkId))])
      return secrets
    },
    /** Makes the challenges of attempts worthless. */
    voidOf: (trx: Tx, attemptIds: readonly string[]): Promise<void> =>
      voidChallengesOf(trx, { attempt_ids: attemptIds }, clock.now()),
    /** What a challenge is worth at this moment; nothing is used up. */
    async look(secret: string | undefined, publicKeyHash: Buffer): Promise<ChallengeState> {
      if (secret === undefined || secret === '') return { state: 'challenge_invalid', challenge: undefined }
      const challenge = await findChallenge(db, sha256(secret))
      return judge(challenge, publicKeyHash, clock.now())
    },
    /** Job: forgets challenges that expired long ago. */
    async deleteOld(): Promise<void> {
      const ago = (days: number) => addTime(clock.now(), -days, 'day')
      await deleteChallenges(db.kysely, { any: ago(KEPT_DAYS), unused: ago(UNUSED_KEPT_DAYS) })
    },
  }
}

function judge(challenge: Challenge | undefined, publicKeyHash: Buffer, now: Date): ChallengeState {
  if (challenge === undefined || challenge.voided_at !== null)
    return { state: 'challenge_invalid', challenge }
  if (challenge.expires_at <= now) return { state: 'challenge_expired', challenge }
  const { certificate, public_key_hash } = challenge
  if (certificate === null) return { state: 'usable', challenge }
  if (public_key_hash?.equals(publicKeyHash)) return { state: 'used_for_this_key', challenge, certificate }
  return { state: 'challenge_used', challenge }
}

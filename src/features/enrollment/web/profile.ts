import type { ReasonCode } from '../../attempts/index.ts'
import type { Tx } from '../../../db/index.ts'
import { addTime } from '../../../kernel/clock.ts'
import { ATTEMPT_MINUTES } from '../attempt-deadline.ts'
import type { EntryDeps } from '../power-on/deps.ts'
import { renderProfile } from '../profile.ts'
import { refusedAnswer, startAgain, type WebAnswer, type WebRequest } from './answers.ts'
import type { Travel } from './travel.ts'

/**
 * Makes the end of a journey: the profile for the attempt. It may be fetched again while the session lives, as a download
 * may fail; only the newest one counts then.
 */
export function createProfileEnd(deps: EntryDeps, travel: Travel) {
  const { db, clock, attempts, identity } = deps

  async function grant(
    trx: Tx,
    attemptId: string,
    userId: string | undefined,
  ): Promise<{ challenge: string } | ReasonCode | undefined> {
    const attempt = await attempts.lock(trx, attemptId)
    if (attempt?.outcome !== 'in_progress' || attempt.enrollment_id !== null) return undefined
    const user = userId === undefined ? undefined : await deps.users.find(trx, userId)
    if (userId !== undefined && user === undefined) return 'user_unknown'
    if (user?.disabled) return 'user_disabled'
    await identity.voidChallenges(trx, attemptId)
    const { serial_number, udid } = attempt
    const challenge = await identity.newChallenge(trx, {
      attemptId,
      ...(serial_number !== null && { serial_number }),
      ...(udid !== null && { udid }),
    })
    await attempts.step(trx, attemptId, { step: 'profile', outcome: 'passed' })
    await attempts.note(trx, attemptId, { deadline: addTime(clock.now(), ATTEMPT_MINUTES, 'minute') })
    return { challenge }
  }

  async function refuse(request: WebRequest, attemptId: string, reason: ReasonCode): Promise<WebAnswer> {
    await travel.refuse(request, attemptId, { step: 'profile', reason, detail: {}, ends: true })
    return refusedAnswer(request, reason)
  }

  /** The profile of an attempt that was admitted. */
  async function profileFor(
    request: WebRequest,
    attemptId: string,
    userId: string | undefined,
  ): Promise<WebAnswer> {
    const topic = (await deps.push.certificates.current())?.topic
    if (topic === undefined) return refuse(request, attemptId, 'push_certificate_missing')
    const granted = await db.transaction((trx) => grant(trx, attemptId, userId))
    if (granted === undefined) return startAgain(request)
    if (typeof granted === 'string') return refuse(request, attemptId, granted)
    const { challenge } = granted
    return {
      kind: 'profile',
      profile: await renderProfile(deps, { reference: attemptId, challenge, topic }),
    }
  }

  return {
    profileFor,
    /** The profile of a browser that has come to its end. */
    async fetch(request: WebRequest): Promise<WebAnswer> {
      const found = await travel.find(request)
      const { attempt_id: attemptId, user } = found?.journey ?? { attempt_id: null, user: null }
      if (attemptId === null || user === null) return startAgain(request, found?.journey.way)
      return profileFor(request, attemptId, user.id)
    },
  }
}

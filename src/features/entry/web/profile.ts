import { ATTEMPT_MINUTES, type ReasonCode } from '../../attempts/index.ts'
import type { Tx } from '../../../db/index.ts'
import { addTime } from '../../../kernel/clock.ts'
import type { EntryDeps } from '../power-on/deps.ts'
import { renderProfile } from '../profile.ts'
import { refusedAnswer, startAgain, type WebAnswer, type WebRequest } from './answers.ts'
import type { Journey } from './journey.ts'
import type { Travel } from './travel.ts'

/** What is needed of a journey for its end. */
type Destination = Pick<Journey, 'way' | 'user'> & { attempt_id: string }

/**
 * The end of a journey: the profile for the attempt. It may be fetched again while the session lives, as a download
 * may fail; at the page, where the device is not known, only the newest one counts then.
 */
export function createProfileEnd(deps: EntryDeps, travel: Travel) {
  const { db, clock, attempts, identity } = deps

  /** `user`: who has signed in, where somebody must. */
  async function grant(
    trx: Tx,
    journey: Destination,
  ): Promise<{ challenge: string } | ReasonCode | undefined> {
    const { attempt_id: attemptId, way, user } = journey
    const attempt = await attempts.lock(trx, attemptId)
    const isBegun = attempt !== undefined || way !== 'page'
    if (isBegun && (attempt?.outcome !== 'in_progress' || attempt.enrollment_id !== null)) return undefined
    const person = user === null ? undefined : await deps.users.find(trx, user.id)
    if (user !== null && person === undefined) return 'user_unknown'
    if (person?.disabled) return 'user_disabled'
    if (way === 'page') await identity.voidChallenges(trx, attemptId)
    const { serial_number = null, udid = null } = attempt ?? {}
    const challenge = await identity.newChallenge(trx, {
      attemptId,
      ...(way === 'page' && { way }),
      ...(serial_number !== null && { serial_number }),
      ...(udid !== null && { udid }),
      user: person && { id: person.id, name: person.user_name },
    })
    if (attempt === undefined) return { challenge }
    const passed = { step: 'profile', outcome: 'passed' } as const
    if (!(await attempts.repeat(trx, attemptId, passed))) await attempts.step(trx, attemptId, passed)
    await attempts.note(trx, attemptId, { deadline: addTime(clock.now(), ATTEMPT_MINUTES, 'minute') })
    return { challenge }
  }

  async function refuse(request: WebRequest, journey: Destination, reason: ReasonCode): Promise<WebAnswer> {
    const user_name = journey.user?.name
    await travel.refuse(request, journey, { step: 'profile', reason, detail: {}, user_name, ends: true })
    return refusedAnswer(request, reason)
  }

  /** The profile of a journey that has come to its end. */
  async function profileFor(request: WebRequest, journey: Destination): Promise<WebAnswer> {
    const topic = (await deps.push.certificates.current())?.topic
    if (topic === undefined) return refuse(request, journey, 'push_certificate_missing')
    const granted = await db.transaction((trx) => grant(trx, journey))
    if (granted === undefined) return startAgain(request)
    if (typeof granted === 'string') return refuse(request, journey, granted)
    const { challenge } = granted
    return {
      kind: 'profile',
      profile: await renderProfile(deps, { reference: journey.attempt_id, challenge, topic }),
    }
  }

  return {
    profileFor,
    /** The profile of a browser that has come to its end. */
    async fetch(request: WebRequest): Promise<WebAnswer> {
      const found = await travel.find(request)
      const { attempt_id, way, user = null } = found?.journey ?? {}
      if (typeof attempt_id !== 'string' || way === undefined || user === null)
        return startAgain(request, way)
      return profileFor(request, { attempt_id, way, user })
    },
  }
}

import type { Db } from '../../db/index.ts'
import type { FailInfo } from '../../protocol/scep/index.ts'
import type { Attempts, ReasonCode, Strangers } from '../attempts/index.ts'
import type { Events } from '../events/index.ts'
import type { Challenge } from './types.ts'

/** Why a request gets no certificate. `failInfo` where it is not `badRequest`; `detail` for the event alone. */
export interface Refusal {
  reason: ReasonCode
  message: string
  failInfo?: FailInfo
  detail?: string
}

/** What goes to the log beside an outcome. */
export interface RequestFacts {
  transaction_id: string
  request_id: string
  /** Where the request came from. */
  address: string
}

/**
 * Tells of refusals, of the attempt or enrollment that the challenge or certificate of the request is for; gives the refusal
 * back. The attempt goes on, for it may not be its device that asked.
 */
export function createRefusals(deps: {
  db: Db
  events: Events
  attempts: Attempts
  strangers: Pick<Strangers, 'note'>
}) {
  const { db, events, attempts, strangers } = deps

  return async function refuse(
    refusal: Refusal,
    { transaction_id, request_id, address }: RequestFacts,
    of: { challenge?: Challenge | undefined; enrollmentId?: string } = {},
  ): Promise<Refusal> {
    const { reason, message, detail } = refusal
    const { challenge } = of
    const attemptId = challenge?.attempt_id ?? null
    const attempt = attemptId === null ? undefined : await attempts.find(db.kysely, attemptId)
    const event = {
      type: 'certificate.refused',
      reason,
      enrollment_id: of.enrollmentId ?? challenge?.enrollment_id ?? null,
      attempt_id: attempt?.id ?? null,
      data: { transaction_id, message, ...(detail !== undefined && { detail }) },
      request_id,
    } as const
    // Nothing is known of who asks with a challenge of which no attempt has begun.
    if (attempt === undefined && event.enrollment_id === null) {
      const { way = null, link_id } = challenge ?? {}
      strangers.note({
        address,
        way,
        reason,
        ofCertificate: true,
        request_id,
        link_id: link_id ?? undefined,
        detail: event.data,
      })
    } else if (attempt === undefined) {
      events.announce(event)
    } else {
      const { id, serial_number, user_name } = attempt
      await db.transaction(async (trx) => {
        const step = { step: 'certificate', outcome: 'refused', reason, detail: { message } } as const
        if (await attempts.repeat(trx, id, step)) return
        await attempts.step(trx, id, step)
        await events.emit(trx, { ...event, serial_number, user_name })
      })
    }
    return refusal
  }
}

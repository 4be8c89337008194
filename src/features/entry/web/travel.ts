import { AppError } from '../../../kernel/errors.ts'
import type { AttemptFacts, NewStep, ReasonCode } from '../../attempts/index.ts'
import type { RefusalDetail } from '../../events/index.ts'
import type { WebSession } from '../../signin/index.ts'
import type { EntryDeps } from '../power-on/deps.ts'
import { createMachineReader } from '../power-on/machine.ts'
import type { WebRequest } from './answers.ts'
import { browserOf, journeyIn, type Journey } from './journey.ts'

/** A request of a browser that is on its way. */
export interface Traveller {
  session: WebSession
  journey: Journey
}

/** What all steps of a browser share: its session, and the attempt behind it. */
export function createTravel(deps: EntryDeps) {
  const { db, attempts, strangers, signin } = deps
  const machines = createMachineReader(deps)

  /** Whether the header of a web view, where there is one, speaks of the journey's own device. */
  async function isOwnDevice({ deviceInfo }: WebRequest, { device }: Journey): Promise<boolean> {
    if (deviceInfo === undefined) return true
    try {
      const { serial, udid } = await machines.fromHeader(deviceInfo)
      return device?.serial === serial && device.udid === udid
    } catch (error) {
      if (error instanceof AppError) return false
      throw error
    }
  }

  /** Tells of a session that came from somewhere else than it began. */
  function tellStranger({ requestId }: WebRequest, { way, attempt_id, device }: Journey): void {
    deps.events.announce({
      type: 'enrollment.sign_in_refused',
      reason: 'sign_in_required',
      attempt_id,
      serial_number: device?.serial ?? null,
      request_id: requestId,
      data: { way, problem: 'the web session was used by another browser or device than it was opened for' },
    })
  }

  return {
    /** The journey of a request; undefined without one, and for one that is another's. */
    async find(request: WebRequest): Promise<Traveller | undefined> {
      const session = await signin.sessions.find(request.cookie)
      const journey = session && journeyIn(session.state)
      if (session === undefined || journey === undefined) return undefined
      const isOwn = journey.browser === browserOf(request.userAgent) && (await isOwnDevice(request, journey))
      if (isOwn) return { session, journey }
      tellStranger(request, journey)
      return undefined
    },

    /** The same for a form, which must be one of this session's own pages. */
    async findForForm(request: WebRequest, token: unknown): Promise<Traveller | undefined> {
      const found = await this.find(request)
      return found && signin.sessions.csrfMatches(found.session, token) ? found : undefined
    },

    /** Whether the attempt of the journey is in progress; at the page there is none before the certificate. */
    async isOpen({ journey: { attempt_id: id, way } }: Traveller): Promise<boolean> {
      if (way === 'page') return true
      const attempt = id === null ? undefined : await attempts.find(db.kysely, id)
      return attempt?.outcome === 'in_progress'
    },

    /**
     * Notes a refusal: in the attempt, where there is one, else as that of a stranger. `ends` false lets the person try again
     * in the same attempt; one that was given a profile goes on in any case.
     */
    async refuse(
      { requestId, address }: WebRequest,
      journey: Pick<Journey, 'attempt_id' | 'way'>,
      refusal: WebRefusal,
    ): Promise<void> {
      const { step, reason, detail, user_name, steps = [], facts = {}, ends } = refusal
      const { attempt_id: id, way } = journey
      const isNoted = await db.transaction(async (trx) => {
        const attempt = id === null ? undefined : await attempts.lock(trx, id)
        if (attempt === undefined) return false
        if (attempt.outcome !== 'in_progress') return true
        const rejection = { step, reason, detail, request_id: requestId, ...(user_name && { user_name }) }
        await attempts.step(trx, attempt.id, ...steps)
        if (!ends || (await attempts.hasProfile(trx, attempt.id)))
          await attempts.refuseStep(trx, attempt.id, rejection, facts)
        else {
          await attempts.note(trx, attempt.id, facts)
          await attempts.reject(trx, attempt.id, rejection)
        }
        return true
      })
      if (!isNoted) strangers.note({ address, way, reason, user_name, request_id: requestId, detail })
    },
  }
}

/** A refusal on the way of a browser. */
interface WebRefusal {
  step: NewStep['step']
  reason: ReasonCode
  detail: RefusalDetail
  user_name?: string | undefined
  steps?: readonly NewStep[]
  facts?: AttemptFacts
  ends: boolean
}

/** See `createTravel`. */
export type Travel = ReturnType<typeof createTravel>

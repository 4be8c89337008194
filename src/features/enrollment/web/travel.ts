import { AppError } from '../../../kernel/errors.ts'
import { addTime } from '../../../kernel/clock.ts'
import type { AttemptFacts, NewStep, ReasonCode } from '../../attempts/index.ts'
import type { WebSession } from '../../signin/index.ts'
import { ATTEMPT_MINUTES } from '../attempt-deadline.ts'
import type { EntryDeps } from '../power-on/deps.ts'
import { createMachineReader } from '../power-on/machine.ts'
import type { WebRequest } from './answers.ts'
import { browserOf, journeyIn, type Journey } from './journey.ts'

/** A request of a browser that is on its way. */
export interface Traveller {
  session: WebSession
  journey: Journey
}

/** Makes what all steps of a browser share: its session, and the attempt behind it. */
export function createTravel(deps: EntryDeps) {
  const { db, clock, attempts, signin } = deps
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

    /** Changes what is kept of the journey; undefined when its session has ended. */
    async move(traveller: Traveller, change: Partial<Journey>): Promise<Traveller | undefined> {
      const session = await signin.sessions.update(traveller.session, (state) => ({ ...state, ...change }))
      const journey = session && journeyIn(session.state)
      return session && journey && { session, journey }
    },

    /** The journey with an attempt that is in progress; on the page a new one where there is none. */
    async withAttempt(traveller: Traveller): Promise<(Traveller & { attemptId: string }) | undefined> {
      const { attempt_id: id, way } = traveller.journey
      const known = await db.transaction(async (trx) => (id === null ? undefined : attempts.lock(trx, id)))
      if (known?.outcome === 'in_progress') return { ...traveller, attemptId: known.id }
      if (way !== 'page') return undefined
      const deadline = addTime(clock.now(), ATTEMPT_MINUTES, 'minute')
      const attemptId = await db.transaction((trx) =>
        attempts.open(trx, { way, deadline }, { step: 'contact', outcome: 'passed' }),
      )
      const moved = await this.move(traveller, { attempt_id: attemptId })
      return moved && { ...moved, attemptId }
    },

    /** Notes a refusal; `ends` false lets the person try again in the same attempt. */
    async refuse(
      { requestId }: Pick<WebRequest, 'requestId'>,
      attemptId: string,
      refusal: {
        step: NewStep['step']
        reason: ReasonCode
        detail: Record<string, unknown>
        steps?: readonly NewStep[]
        facts?: AttemptFacts
        ends: boolean
      },
    ): Promise<void> {
      const { step, reason, detail, steps = [], facts = {}, ends } = refusal
      await db.transaction(async (trx) => {
        const attempt = await attempts.lock(trx, attemptId)
        if (attempt?.outcome !== 'in_progress') return
        const rejection = { step, reason, detail, request_id: requestId }
        await attempts.step(trx, attemptId, ...steps)
        if (!ends) return attempts.refuseStep(trx, attemptId, rejection, facts)
        await attempts.note(trx, attemptId, facts)
        return attempts.reject(trx, attemptId, rejection)
      })
    },
  }
}

/** See `createTravel`. */
export type Travel = ReturnType<typeof createTravel>

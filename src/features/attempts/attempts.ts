import type { Db, Queries, Tx } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Events, NewEvent } from '../events/index.ts'
import { planContact } from './contacts.ts'
import { deleteOld, expire } from './expiry.ts'
import {
  closeAttempt,
  countAgain,
  findAttempt,
  hasPassed,
  insertSteps,
  listAttempts,
  listSteps,
  lockAttempt,
  updateFacts,
  type AttemptQuery,
} from './store.ts'
import type {
  Attempt,
  AttemptFacts,
  Contact,
  NewStep,
  OpenAttempt,
  RecentContact,
  Rejection,
  Revocation,
  TimelineStep,
} from './types.ts'
import { named } from './timeline.ts'

/** Enrollment attempts: one try of one device to get in, with the timeline that explains it. */
export type Attempts = ReturnType<typeof createAttempts>

/** The attempts. All functions with `trx` are part of the caller's transaction. */
export function createAttempts(deps: { db: Db; clock: Clock; events: Events }) {
  const { db, clock, events } = deps

  /** Adds contacts or decisions to the timeline; an attempt stays as it is. */
  async function step(trx: Tx, id: string, ...steps: NewStep[]): Promise<void> {
    await insertSteps(
      trx,
      steps.map((each) => ({ ...each, attempt_id: id })),
      clock.now(),
    )
  }

  /**
   * Refuses an attempt: a step with the reason, and `enrollment.rejected`. It is closed as rejected if it was in
   * progress; one that had already ended keeps its outcome.
   */
  async function reject(trx: Tx, id: string, rejection: Rejection): Promise<void> {
    const { reason } = rejection
    const now = clock.now()
    await insertSteps(trx, [{ ...refusalOf(rejection), attempt_id: id }], now)
    const closed = await closeAttempt(trx, id, { from: ['in_progress'], to: 'rejected', reason }, now)
    const attempt = closed ?? (await findAttempt(trx, id))
    if (attempt === undefined) return
    await events.emit(trx, refusedFact('enrollment.rejected', attempt, rejection))
  }

  /**
   * Refuses a step of an attempt that stays open, as the person may try again; told as `enrollment.sign_in_refused`. Its
   * `facts` are noted.
   */
  async function refuseStep(
    trx: Tx,
    id: string,
    refusal: Rejection,
    facts: AttemptFacts = {},
  ): Promise<void> {
    await step(trx, id, refusalOf(refusal))
    const attempt = await note(trx, id, facts)
    if (attempt === undefined) return
    await events.emit(trx, refusedFact('enrollment.sign_in_refused', attempt, refusal))
  }

  /** Adds a closing step to an attempt whose enrollment we take back; its outcome stays. Told as `enrollment.revoked`. */
  async function revoke(trx: Tx, id: string, revocation: Revocation): Promise<void> {
    const { reason, detail } = revocation
    await step(trx, id, { ...revocation, outcome: 'refused' })
    const attempt = await updateFacts(trx, id, { reason }, clock.now())
    if (attempt === undefined) return
    await events.emit(trx, {
      type: 'enrollment.revoked',
      ...named(attempt),
      reason,
      data: { way: attempt.way, ...detail },
    })
  }

  /** Notes what became known; undefined when there is no such attempt. */
  async function note(trx: Tx, id: string, facts: AttemptFacts): Promise<Attempt | undefined> {
    return updateFacts(trx, id, facts, clock.now())
  }

  return {
    step,
    reject,
    note,
    refuseStep,
    revoke,
    /** See `planContact`. */
    planContact: (contact: Contact, open: OpenAttempt | undefined, recent: RecentContact | undefined) =>
      planContact(contact, open, recent, clock.now()),
    /** Counts a step that is the last one of the attempt already; false when it is not. */
    repeat: (trx: Tx, id: string, again: NewStep): Promise<boolean> => countAgain(trx, id, again),
    /** Whether a profile was given for the attempt. */
    hasProfile: (trx: Tx, id: string): Promise<boolean> => hasPassed(trx, id, 'profile'),
    /** The attempt, or undefined. */
    find: (queries: Queries, id: string) => findAttempt(queries, id),
    /** The attempt, locked until the transaction ends, or undefined. */
    lock: (trx: Tx, id: string) => lockAttempt(trx, id),
    /** A page of attempts with their timelines, newest first. */
    async list(query: AttemptQuery): Promise<(Attempt & { timeline: TimelineStep[] })[]> {
      return withTimelines(db.kysely, await listAttempts(db.kysely, query))
    },
    /** One attempt with its timeline, or undefined. */
    async get(id: string): Promise<(Attempt & { timeline: TimelineStep[] }) | undefined> {
      const attempt = await findAttempt(db.kysely, id)
      return attempt && (await withTimelines(db.kysely, [attempt]))[0]
    },
    /** Job: see `expire`. */
    expire: () => expire(deps),
    /** Job: see `deleteOld`. */
    deleteOld: (days: number) => deleteOld(deps, days),
  }
}

function refusedFact(
  type: 'enrollment.rejected' | 'enrollment.sign_in_refused',
  attempt: Attempt,
  { step, reason, detail = {}, request_id }: Rejection,
): NewEvent<typeof type> {
  return {
    type,
    ...named(attempt),
    reason,
    data: { way: attempt.way, step, ...detail },
    ...(request_id !== undefined && { request_id }),
  }
}

function refusalOf({ step, reason, detail = {}, user_name }: Rejection): NewStep {
  return { step, outcome: 'refused', reason, detail, ...(user_name !== undefined && { user_name }) }
}

async function withTimelines(
  db: Queries,
  attempts: Attempt[],
): Promise<(Attempt & { timeline: TimelineStep[] })[]> {
  const timelines = new Map<string, TimelineStep[]>(attempts.map(({ id }) => [id, []]))
  const steps = await listSteps(db, [...timelines.keys()])
  for (const { attempt_id, ...step } of steps) timelines.get(attempt_id)?.push(step)
  return attempts.map((attempt) => ({ ...attempt, timeline: timelines.get(attempt.id) ?? [] }))
}

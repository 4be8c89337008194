import type { ChannelIdentity, ReadCheckin } from '../../protocol/mdm/index.ts'
import type { Tx } from '../../db/index.ts'
import { followForActs } from './acts/follow.ts'
import { takeInActs } from './acts/answers.ts'
import { findCaller } from './caller.ts'
import { authenticate } from './check-in/authenticate.ts'
import { moveIn } from './moving-in/messages.ts'
import { createTokenUpdates } from './check-in/token-update.ts'
import { createChannelMessages } from './channel-messages.ts'
import type { Answer } from '../commands/index.ts'
import type { PublishedEvent } from '../events/index.ts'
import type { EnrollmentDeps, Sender } from './deps.ts'
import { abandonHalfEnrolled, carryOutForgetting, FORGET } from './end.ts'
import { takeFirstSteps } from './first-steps.ts'
import { judgeAssignments } from './judge.ts'
import type { Brought } from './moving-in/writes.ts'
import { followNames } from './naming/follow.ts'

/** How a device gets in, stays in and leaves. */
export type Enrollment = ReturnType<typeof createEnrollment>

/** The life of an enrollment, from Authenticate to its end. */
export function createEnrollment(deps: EnrollmentDeps) {
  const tokenUpdates = createTokenUpdates(deps)
  deps.governor.carriesOut(FORGET, { inside: (trx, what) => carryOutForgetting(trx, deps, what) })
  return {
    ...createChannelMessages(deps),
    authenticate: (message: Parameters<typeof authenticate>[1], from: Sender) =>
      authenticate(deps, message, from),
    tokenUpdate: tokenUpdates.tokenUpdate,
    /** See `moveIn`. */
    moveIn: (message: ReadCheckin['message'], brought: Brought) => moveIn(deps, message, brought),
    /** See `findCaller`. */
    findCaller: (from: Pick<Sender, 'fingerprint' | 'requestId'>, identity: ChannelIdentity) =>
      deps.db.transaction((trx) => findCaller(trx, deps, from, identity)),
    /** A background job: ends enrollments that never got beyond Authenticate. */
    abandonHalfEnrolled: () => abandonHalfEnrolled(deps),
    /** A background job: unenrols devices of users whose serial numbers newly got a policy. */
    judgeAssignments: () => judgeAssignments(deps),
    /** See `takeFirstSteps`. */
    takeFirstSteps: (enrolled: readonly PublishedEvent[]) => takeFirstSteps(deps, enrolled),
    /** See `followNames`. */
    followNames: (facts: readonly PublishedEvent[]) => followNames(deps, facts),
    /** See `followForActs`. */
    followForActs: (facts: readonly PublishedEvent[]) => followForActs(deps, facts),
    /** See `takeInActs`. */
    takeInActs: (trx: Tx, answers: readonly Answer[]) => takeInActs(trx, deps, answers),
    /** Answers when no TokenUpdate is in flight any more. */
    idle: tokenUpdates.idle,
  }
}

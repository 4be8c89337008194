import { authenticate } from './authenticate.ts'
import { bootstrapToken, checkOut, setBootstrapToken } from './channel-messages.ts'
import type { EnrollmentDeps, Sender } from './deps.ts'
import { abandonHalfEnrolled, finishRemoval } from './end.ts'
import { judgeAssignments } from './judge.ts'
import { openToken, sealMessage, sealToken } from './messages.ts'
import { reseal } from './reseal.ts'
import { release } from './release/release.ts'
import { tokenUpdate } from './token-update.ts'

/** How a device gets in, stays in and leaves. */
export type Enrollment = ReturnType<typeof createEnrollment>

/** Makes the enrollment door. */
export function createEnrollment(deps: EnrollmentDeps) {
  const { secretBox } = deps
  return {
    authenticate: (message: Parameters<typeof authenticate>[1], from: Sender) =>
      authenticate(deps, message, from),
    tokenUpdate: (message: Parameters<typeof tokenUpdate>[1], from: Sender) =>
      tokenUpdate(deps, message, from),
    checkOut: (id: string, from: Sender) => checkOut(deps, id, from),
    setBootstrapToken: (id: string, token: Uint8Array | undefined, from: Sender) =>
      setBootstrapToken(deps, id, token, from),
    bootstrapToken: (id: string) => bootstrapToken(deps, id),
    /** A check-in message as it is kept. */
    sealMessage: (id: string, raw: Uint8Array) => sealMessage(secretBox, id, raw),
    /** An UnlockToken as it is kept, and the reverse. */
    sealUnlockToken: (id: string, token: Uint8Array) => sealToken(secretBox, id, 'unlock', token),
    openUnlockToken: (id: string, sealed: Buffer) => openToken(secretBox, id, 'unlock', sealed),
    /** Finishes an enrollment whose profile the device has acknowledged to have removed. */
    finishRemoval: (id: string) => finishRemoval(deps, id),
    /** Seals anew what is sealed with the previous secret key; gives the number of values. */
    reseal: () => reseal(deps),
    /** A background job: ends enrollments that never got beyond Authenticate. */
    abandonHalfEnrolled: () => abandonHalfEnrolled(deps),
    /** A background job: lets devices go on that wait in Setup Assistant. */
    release: () => release(deps),
    /** A background job: unenrols devices of users whose serial numbers newly got a policy. */
    judgeAssignments: () => judgeAssignments(deps),
  }
}

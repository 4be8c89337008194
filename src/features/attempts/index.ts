export { attemptsApi } from './api.ts'
export { createAttempts, type Attempts } from './attempts.ts'
export { explainReason, isReasonCode, REASON_CODES, type ReasonCode } from './reasons.ts'
export { createStrangers, type Strangers } from './strangers.ts'
export { ATTEMPT_MINUTES } from './types.ts'
export type {
  Attempt,
  AttemptFacts,
  Contact,
  ContactPlan,
  NewAttempt,
  NewStep,
  OpenAttempt,
  RecentContact,
  StepName,
  TimelineStep,
} from './types.ts'

export { attemptsApi } from './api.ts'
export { createAttempts, type Attempts } from './attempts.ts'
export { explainReason, type ReasonCode } from './reasons.ts'
export type {
  Attempt,
  AttemptFacts,
  Contact,
  ContactPlan,
  NewAttempt,
  NewStep,
  OpenAttempt,
  Rejection,
  StepName,
} from './types.ts'

export { attemptsApi } from './api.ts'
export { createAttempts, type Attempts } from './attempts.ts'
export { explainReason, type ReasonCode } from './reasons.ts'
export type { OpenAttempt } from './store.ts'
export type {
  Attempt,
  AttemptFacts,
  Contact,
  ContactPlan,
  NewAttempt,
  NewStep,
  Rejection,
  StepName,
} from './types.ts'

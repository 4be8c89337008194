export { enrollmentApi } from './api.ts'
export { createEnrollment, type Enrollment } from './enrollment.ts'
export { firstCommandsOf } from './first-steps.ts'
export { refused, type Refused, type Verdict } from './verdict.ts'

export { buildEnrollmentProfile } from './enrollment-profile.ts'
export type { EnrollmentProfile } from './enrollment-profile.ts'

export { buildEnrollmentProfile } from './enrollment-profile.ts'
export type { EnrollmentProfile, ScepSettings } from './enrollment-profile.ts'

export { buildEnrollmentProfile, type EnrollmentProfile } from './enrollment-profile.ts'

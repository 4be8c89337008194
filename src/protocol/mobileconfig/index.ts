export { buildEnrollmentProfile } from './enrollment-profile.ts'
export type { EnrollmentProfile, MdmSettings, RootCertificate, ScepSettings } from './enrollment-profile.ts'

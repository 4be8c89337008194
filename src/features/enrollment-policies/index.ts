/** The door of enrollment policies: what an administrator wants of new devices, and its rendering to ADE profiles. */
export { renderAdeProfile } from './ade-profile.ts'
export { enrollmentPoliciesApi } from './api.ts'
export { adeWithDefaults } from './defaults.ts'
export { configurationDeadlineMinutes, type Policy } from './schema.ts'
export { createEnrollmentPolicies, type EnrollmentPolicies } from './policies.ts'

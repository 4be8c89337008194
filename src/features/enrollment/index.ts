export { createLinks, type EnrollmentLink, type LinkRefusal, type Links } from './links.ts'
export { linksApi } from './links/api.ts'
export { PROFILE_TYPE, profileIdentifier, renderProfile, type ProfileFor } from './profile.ts'
export { linkRoutes } from './routes.ts'

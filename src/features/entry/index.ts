/** The door of the ways in: links, power-on, the pages of /enroll; and the one rule who may have a device. */
export { createLinks, type Links } from './links.ts'
export { linksApi } from './links-api.ts'
export { groundOf, isAutomated, type Claimant, type Owner } from './owner-rule.ts'
export { judgePerson } from './person-rule.ts'
export { profileIdentifier, renderProfile } from './profile.ts'
export { entryRoutes, linkRoutes } from './routes.ts'

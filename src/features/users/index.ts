/** The door of users: people who enrol devices, one each whatever the spelling of the name. */
export { usersApi } from './api.ts'
export { directorySubject, userNameKey } from './names.ts'
export { createUsers, type Users } from './users.ts'
export type { LinkingRules, Person } from './linking.ts'
export type { User } from './store.ts'

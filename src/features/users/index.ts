/** The door of users: people who enrol devices, one each whatever the spelling of the name or the source. */
export { usersApi } from './api.ts'
export { userNameKey } from './names.ts'
export { createUsers } from './users.ts'
export type { Users } from './users.ts'
export type { User } from './store.ts'

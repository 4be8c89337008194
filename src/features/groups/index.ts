/** The door of groups: sets of devices, static or by the policy they enrolled with. */
export { groupsApi } from './api.ts'
export { createGroups } from './groups.ts'
export type { Groups } from './groups.ts'

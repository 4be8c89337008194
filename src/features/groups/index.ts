/** The door of groups: sets of devices, static, by rule, or by the policy they enrolled with. */
export { groupsApi } from './api.ts'
export { createGroups, type Groups } from './groups.ts'
export { GROUP_FACTS } from './membership/index.ts'

export { createMembership, GROUP_FACTS } from './membership.ts'
export { emptyGroup, leaveAll, noteMembers } from './leave.ts'
export { lockRules } from './members-store.ts'
export {
  foretellGroups,
  holdStatic,
  preview,
  writeRule,
  type FactsBefore,
  type RuleTime,
} from './rules-store.ts'

/** The door of the governor: what limits acts that destroy something, and has them wait for a second person. */
export { governorApi } from './api.ts'
export { approvalsApi } from './approvals-api.ts'
export type { Approval } from './approvals-store.ts'
export type { CarriedOut } from './approvals.ts'
export { createGovernor, type Governor, type Verdict } from './governor.ts'
export type { GovernedAct } from './limits.ts'
export { undoUntil, waitingSchema } from './schema.ts'
export { showApproval, showOrdered } from './view.ts'

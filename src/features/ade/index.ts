/** The door of automated enrollment at Apple: tokens, syncs, serial numbers, the assignment of policies. */
export { createAde } from './ade.ts'
export type { Ade } from './ade.ts'
export { adeApi } from './api.ts'

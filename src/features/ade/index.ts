/** The door of automated enrollment at Apple: tokens, syncs, serial numbers, the assignment of policies. */
export { createAde, type Ade } from './ade.ts'
export { adeApi } from './api.ts'

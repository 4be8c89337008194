/** The door of explanations: why things are as they are, and what to do. */
export { explainApi } from './api.ts'
export { createExplain } from './explain.ts'

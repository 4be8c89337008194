/** The door of operators: API tokens, roles, and the memory of Idempotency-Keys. */
export { apiTokensApi } from './api.ts'
export { createIdempotencyKeys } from './idempotency-keys.ts'
export type { IdempotencyKeys } from './idempotency-keys.ts'
export { createOperators } from './operators.ts'
export type { Operators } from './operators.ts'
export { hasRole } from './roles.ts'
export type { Operator, Role } from './roles.ts'

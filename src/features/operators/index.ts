/** The door of operators: API tokens, roles, and the memory of Idempotency-Keys. */
export { apiTokensApi } from './api.ts'
export { createIdempotencyKeys, type IdempotencyKeys } from './idempotency-keys.ts'
export { createOperators, type Operators } from './operators.ts'
export { hasRole, type Operator, type Role } from './roles.ts'

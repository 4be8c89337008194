/** The door of operators: API tokens, roles, the memory of Idempotency-Keys, and the audit trail. */
export { apiTokensApi } from './api.ts'
export { auditApi } from './audit/api.ts'
export { type Audit, createAudit } from './audit/audit.ts'
export { createIdempotencyKeys, type IdempotencyKeys } from './idempotency-keys.ts'
export { createOperators, type Operators } from './operators.ts'
export { hasRole, type Operator, type Role } from './roles.ts'

import type { Actor } from '../../kernel/act.ts'

/** What an operator may do, least first: read, act, configure. */
export const ROLES = ['viewer', 'operator', 'admin'] as const

/** A name of the list above; each role may do what those before it may. */
export type Role = (typeof ROLES)[number]

/** Who calls the operator API; see `Act` for the makers of a token. */
export type Operator = Actor & { role: Role; makers: readonly string[] }

/** Whether the operator's role is `role` or a greater one. */
export function hasRole(operator: Operator, role: Role): boolean {
  return ROLES.indexOf(operator.role) >= ROLES.indexOf(role)
}

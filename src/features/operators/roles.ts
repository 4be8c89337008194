/** What an operator may do, least first: read, act, configure. */
export const ROLES = ['viewer', 'operator', 'admin'] as const

/** A name of the list above; each role may do what those before it may. */
export type Role = (typeof ROLES)[number]

/** Who calls the operator API. */
export type Actor = { kind: 'api_token'; id: string; name: string; role: Role }

/** Whether the actor's role is `role` or a greater one. */
export function hasRole(actor: Actor, role: Role): boolean {
  return ROLES.indexOf(actor.role) >= ROLES.indexOf(role)
}

import type { Act } from '../../kernel/act.ts'
import type { NewEvent } from '../events/index.ts'
import type { User } from './store.ts'

/** The fact that a user was made or deleted. */
export function userFact(
  type: 'user.created' | 'user.deleted',
  { id, user_name }: User,
  act: Act,
): NewEvent<typeof type> {
  return { type, act, user_name, data: { user_id: id } }
}

/** The fact that these fields of a user were changed. */
export function userChanged({ id, user_name }: User, changed: string[], act: Act): NewEvent<'user.updated'> {
  return { type: 'user.updated', act, user_name, data: { user_id: id, changed } }
}

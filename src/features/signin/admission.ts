import type { Db } from '../../db/index.ts'
import { AppError } from '../../kernel/errors.ts'
import type { Users } from '../users/index.ts'
import { type SignInResult, refuse } from './result.ts'
import type { Source } from './sources/types.ts'

/** Someone whom a source vouches for. */
export type Person = {
  user_name: string
  display_name?: string | undefined
  email?: string | undefined
}

/** Makes the step from a person whom a source vouches for to a user of ours. */
export function createAdmission(deps: { db: Db; users: Pick<Users, 'findByName' | 'findOrCreate'> }) {
  const { db, users } = deps

  async function findOrCreate(source: Source, person: Person, requestId: string) {
    const known = await users.findByName(db.kysely, person.user_name)
    if (known !== undefined || !source.create_users) return known
    const { user_name, display_name = null, email = null } = person
    return db.transaction((trx) => users.findOrCreate(trx, { user_name, display_name, email }, requestId))
  }

  /**
   * The user whom this person is; a new one where the source makes some. The local record may be disabled: then the source
   * does not count.
   */
  return async function admit(source: Source, person: Person, requestId: string): Promise<SignInResult> {
    try {
      const user = await findOrCreate(source, person, requestId)
      if (user === undefined) {
        return refuse(
          'user_unknown',
          `"${source.name}" vouches for ${person.user_name}, who is no user here, and it makes none (create_users)`,
        )
      }
      return user.disabled
        ? refuse('user_disabled', `${user.user_name} is disabled here, whatever "${source.name}" says`)
        : { ok: true, user }
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'invalid_request') throw error
      return refuse('user_unknown', `"${source.name}" gives a name that cannot be one of a user here`)
    }
  }
}

import { AppError } from '../../kernel/errors.ts'
import type { Claims } from '../../protocol/wstrust/index.ts'
import { type LinkingRules, type Person, type Users, directorySubject, userNameKey } from '../users/index.ts'
import { type SignInRefusal, type SignInResult, refuse } from './result.ts'
import type { Sources } from './sources/sources.ts'
import type { Source } from './sources/types.ts'

/** Someone whom a source vouches for; `subject` is what the source itself calls them, for ever. */
export type Vouched = Omit<Person, 'sign_in'> & { subject: string }

/** Which user it is; with `isNew` one that signing in would make. */
type Admission = { ok: true; user: { user_name: string }; isNew: boolean } | SignInRefusal

/** The step from a person whom a source vouches for to a user of ours. */
export function createAdmission(deps: {
  users: Pick<Users, 'standingOf' | 'link'>
  sources: Pick<Sources, 'find'>
}) {
  const { users, sources } = deps

  /** What stands in the way, and what an administrator can do about it. */
  async function explainTaken(
    source: Source,
    { sign_in, user_name }: Person,
    user: { sign_in_source_id: string | null; sign_in_subject: string | null },
  ): Promise<SignInRefusal> {
    const { sign_in_source_id: otherId, sign_in_subject: subject } = user
    const other =
      otherId === null ? undefined : ((await sources.find(otherId))?.name ?? 'a source that is gone')
    const instead = other === undefined ? 'has a password here' : `is linked to "${other}"`
    const whom = subject === null ? '' : ` as ${JSON.stringify(subject)}`
    return refuse(
      'user_unknown',
      `"${source.name}" vouches for ${user_name}, but the user of this name ${instead}${whom}. If they are the same person, set the user's sign_in to ${JSON.stringify(sign_in)}, or links_existing_users of the source`,
    )
  }

  function rulesOf(source: Source): LinkingRules {
    return { creates: source.create_users, linksExisting: source.links_existing_users }
  }

  async function judge(
    source: Source,
    vouched: Vouched,
    look: (person: Person, rules: LinkingRules) => ReturnType<Users['standingOf']>,
  ): Promise<{ ok: true; standing: Awaited<ReturnType<Users['standingOf']>> } | SignInRefusal> {
    const { subject, ...person } = vouched
    const whole = { ...person, sign_in: { source_id: source.id, subject } }
    try {
      const standing = await look(whole, rulesOf(source))
      if (standing.is === 'taken') return await explainTaken(source, whole, standing.user)
      if (standing.is === 'unknown') {
        return refuse(
          'user_unknown',
          `"${source.name}" vouches for ${person.user_name}, who is no user here, and it makes none (create_users)`,
        )
      }
      return standing.is !== 'new' && standing.user.disabled
        ? refuse(
            'user_disabled',
            `${standing.user.user_name} is disabled here, whatever "${source.name}" says`,
          )
        : { ok: true, standing }
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'invalid_request') throw error
      return refuse('user_unknown', `"${source.name}" gives a name that cannot be one of a user here`)
    }
  }

  return {
    /**
     * The user whom this person is: by what the source calls them, whatever their name has become; at the first sign-in by the
     * name. A new one where the source makes some. The local record may be disabled: then the source does not count.
     */
    async admit(source: Source, person: Vouched, requestId: string): Promise<SignInResult> {
      const judged = await judge(source, person, (whole, rules) => users.link(whole, rules, requestId))
      if (!judged.ok) return judged
      if (judged.standing.is === 'known') return { ok: true, user: judged.standing.user }
      throw new AppError('internal', 'A person who was linked to a user is none.')
    },
    /** What `admit` would do as things stand. */
    async foresee(source: Source, person: Vouched): Promise<Admission> {
      const judged = await judge(source, person, users.standingOf)
      if (!judged.ok) return judged
      const { standing } = judged
      return standing.is === 'known' || standing.is === 'free'
        ? { ok: true, user: standing.user, isNew: false }
        : { ok: true, user: person, isNew: true }
    },
  }
}

/**
 * The person whom a directory vouches for. It names them for ever by an ImmutableID or a name identifier; where it gives
 * neither, by a name, which is one whatever its case.
 */
export function personAt(typed: string, { subject, userName = typed, displayName, email }: Claims): Vouched {
  return {
    subject: directorySubject(subject ?? userNameKey(userName)),
    user_name: userName,
    display_name: displayName,
    email,
  }
}

import type { Db } from '../../../db/index.ts'
import type { NewStep } from '../../attempts/index.ts'
import type { User, Users } from '../../users/index.ts'
import { judgePerson, type PersonRuleDeps } from '../person-rule.ts'
import type { StepRefusal } from './checks.ts'

export interface PersonDeps extends PersonRuleDeps {
  db: Db
  users: Pick<Users, 'findByName' | 'limitOf'>
}

/**
 * Whether someone who has signed in may have one more device, as steps of the attempt; the one that is being enrolled (`udid`)
 * takes no second place, nor one that proved its serial number (`serial`) and has another UDID now.
 */
export async function judgeSignedIn(
  deps: PersonDeps,
  user: User,
  { udid, serial, isAutomated }: { udid: string | null; serial?: string | undefined; isAutomated: boolean },
): Promise<{ steps: NewStep[]; refusal?: StepRefusal; counts?: { count: number; limit: number } }> {
  const { user_name } = user
  const device = { isAutomated, exceptUdid: udid ?? undefined, exceptSerial: serial }
  const { passed, refusal, ...counted } = await judgePerson(deps.db.kysely, deps, user, device)
  const steps: NewStep[] = [
    { step: 'sign_in', outcome: 'passed', user_name, detail: { user_name } },
    ...passed,
  ]
  if (refusal === undefined) return { steps, ...counted }
  const step = refusal.reason === 'device_limit_exceeded' ? 'device_limit' : 'sign_in'
  return { steps, refusal: { step, ...refusal }, ...counted }
}

/** Names as directories write them; anything else that nobody is called may be a password in the wrong field. */
const DIRECTORY_NAMES = [/^[^\s@\\]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+$/i, /^[a-z0-9.-]+\\[^\s@\\]+$/i]

/** The name to tell administrators of a sign-in that failed; undefined when it is nobody's. */
export async function tellableName(
  { db, users }: Pick<PersonDeps, 'db' | 'users'>,
  typed: string,
): Promise<string | undefined> {
  const text = typed.trim()
  if (text === '' || text.length > 255 || /\p{Cc}/u.test(text)) return undefined
  const user = await users.findByName(db.kysely, text)
  return user?.user_name ?? (DIRECTORY_NAMES.some((form) => form.test(text)) ? text : undefined)
}

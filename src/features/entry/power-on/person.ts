import type { Db } from '../../../db/index.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { NewStep, ReasonCode } from '../../attempts/index.ts'
import type { Devices } from '../../devices/index.ts'
import type { User, Users } from '../../users/index.ts'
import { halfEnrolledSince } from '../../devices/index.ts'
import type { StepRefusal } from './checks.ts'

export interface PersonDeps {
  db: Db
  users: Pick<Users, 'findByName' | 'limitOf'>
  devices: Pick<Devices, 'countPlaces'>
  clock: Clock
}

/**
 * Whether someone who has signed in may have one more device; the one that is being enrolled (`udid`) takes no second
 * place, nor one that proved its serial number (`serial`) and has another UDID now. It is decided again, and exactly, when the
 * device says Authenticate.
 */
export async function judgePerson(
  { db, users, devices, clock }: PersonDeps,
  user: User,
  device: { udid: string | null; serial?: string | undefined; isAutomated: boolean },
): Promise<{ steps: NewStep[]; refusal?: StepRefusal; counts?: { count: number; limit: number } }> {
  const { user_name } = user
  const steps: NewStep[] = [{ step: 'sign_in', outcome: 'passed', user_name, detail: { user_name } }]
  const refuse = (reason: ReasonCode) => ({
    steps,
    refusal: { step: 'sign_in', reason, detail: {} } as const,
  })
  if (user.disabled) return refuse('user_disabled')
  if (device.isAutomated && user.enrollment_manager) return refuse('enrollment_manager_not_allowed')
  const limit = await users.limitOf(user, db.kysely)
  if (limit === null) return { steps }
  const count = await devices.countPlaces(db.kysely, user.id, {
    halfSince: halfEnrolledSince(clock.now()),
    exceptUdid: device.udid ?? undefined,
    exceptSerial: device.serial,
  })
  const counts = { count, limit }
  if (count < limit) {
    return { steps: [...steps, { step: 'device_limit', outcome: 'passed', detail: counts }], counts }
  }
  return { steps, refusal: { step: 'device_limit', reason: 'device_limit_exceeded', detail: counts }, counts }
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

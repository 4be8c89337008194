import type { Db } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { NewStep, ReasonCode } from '../attempts/index.ts'
import { halfEnrolledSince, type Devices } from '../devices/index.ts'
import type { RefusalDetail } from '../events/index.ts'
import type { User, Users } from '../users/index.ts'

/** What the rule looks at. */
export interface PersonRuleDeps {
  users: Pick<Users, 'limitOf'>
  devices: Pick<Devices, 'countPlaces'>
  clock: Clock
}

/** The device that a person wants; an enrollment of this id, UDID or proven serial number takes no second place. */
interface WantedDevice {
  isAutomated: boolean
  exceptId?: string | undefined
  exceptUdid?: string | undefined
  exceptSerial?: string | undefined
}

/** What the rule says: the step that was passed, where devices are counted, or why not. */
interface Judgement {
  passed: NewStep[]
  refusal?: { reason: ReasonCode; detail: RefusalDetail }
  /** Devices that the person has, and may have. */
  counts?: { count: number; limit: number }
}

/**
 * Whether a person may have one more device: the one rule of that. When they sign in it foretells; when the device says
 * Authenticate the row of the user is locked, and of any number of devices that enrol at once, on any number of processes,
 * exactly as many get in as the limit allows. Inside a transaction `executor` must be its `trx`.
 */
export async function judgePerson(
  executor: Db['kysely'],
  { users, devices, clock }: PersonRuleDeps,
  user: User | undefined,
  { isAutomated, ...except }: WantedDevice,
): Promise<Judgement> {
  const refuse = (reason: ReasonCode) => ({ passed: [], refusal: { reason, detail: {} } })
  if (!user) return refuse('user_unknown')
  if (user.disabled) return refuse('user_disabled')
  if (isAutomated && user.enrollment_manager) return refuse('enrollment_manager_not_allowed')
  const limit = await users.limitOf(user, executor)
  if (limit === null) return { passed: [] }
  const halfSince = halfEnrolledSince(clock.now())
  const count = await devices.countPlaces(executor, user.id, { halfSince, ...except })
  const counts = { count, limit }
  return count < limit
    ? { passed: [{ step: 'device_limit', outcome: 'passed', detail: counts }], counts }
    : { passed: [], refusal: { reason: 'device_limit_exceeded', detail: counts }, counts }
}

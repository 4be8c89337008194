import type { Clock } from '../../kernel/clock.ts'
import type { Random } from '../random.ts'
import type { DeviceHttp } from '../wire/device-http.ts'
import type { ReportViolation } from '../wire/violations.ts'
import { fetchPackages } from './apps/installing.ts'
import type { Channel } from './channel.ts'
import type { Command, Decision } from './commands/decider.ts'
import type { Contact } from './contact.ts'
import { driftOnce } from './drift.ts'
import type { Reporting } from './reporting.ts'
import { runSession, type Loss, type SessionReport } from './session.ts'
import { endEnrollment, presentOf, type DeviceState } from './state.ts'

/** What polling needs of its device. */
interface PollingDeps {
  contact: Contact
  reporting: Reporting
  http: DeviceHttp
  clock: Clock
  random: Random
  report: ReportViolation
  decide: (command: Command, channel: Channel) => Promise<Decision>
}

/** How a device behaves around its sessions. */
export interface PollingOptions {
  /** After a restart it is locked, so that most commands get NotNow until its person unlocks it. */
  lockedAfterStart?: boolean
  /** How likely something is gone that MDM brought when a session begins. */
  drift?: number
}

/** The sessions of a device, and what follows from how they end. */
export function createPolling(state: DeviceState, deps: PollingDeps, options: PollingOptions) {
  const { contact, reporting, http, clock, report, decide } = deps
  const { drift = 0, lockedAfterStart = false } = options
  const chance = drift > 0 ? deps.random.fork('drift') : undefined

  async function follow({ end }: SessionReport): Promise<void> {
    if (end === 'restarting') state.condition.lockedSinceStart = lockedAfterStart
    if (end === 'erased') endEnrollment(state, 'erased')
    if (end === 'removed' && presentOf(state).profile.checkOutWhenRemoved) await reporting.checkOut()
    else if (end === 'removed' || end === 'unmanaged') endEnrollment(state, 'removed', clock.now())
    if (state.updated && state.status === 'enrolled') await reporting.afterUpdate()
  }

  /** One session on that channel. */
  return async (channel: Channel): Promise<SessionReport> => {
    if (state.untold !== undefined) await reporting.updateToken(state.untold)
    if (chance?.chance(drift) === true) driftOnce(state, chance)
    const session = await runSession({
      ...channel,
      contact,
      report,
      decide: (command) => decide(command, channel),
      lose: (command) => takeLoss(state, command),
    })
    await follow(session)
    if (state.status === 'enrolled') await fetchPackages(state.holding, http)
    return session
  }
}

/** The next loss that is meant for that command. */
function takeLoss({ losses }: DeviceState, { requestType }: Command): Loss | undefined {
  const index = losses.findIndex((loss) => loss.requestType === undefined || loss.requestType === requestType)
  return index === -1 ? undefined : losses.splice(index, 1)[0]?.when
}

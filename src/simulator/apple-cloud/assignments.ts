import type { Clock } from '../../kernel/clock.ts'
import type { AppleDevice, Organization } from './organization.ts'
import type { ReportAdeViolation } from './watch.ts'

/** What Apple says of one serial number. */
export type SerialResult = 'SUCCESS' | 'NOT_ACCESSIBLE' | 'FAILED' | 'THROTTLED'

/** Which profile each device has, and what Apple says when that is to change. */
export type Assignments = ReturnType<typeof createAssignments>

const SINCE_THROTTLED = 9

/** The assignments of an organisation. */
export function createAssignments(deps: {
  organization: Organization
  clock: Clock
  report: ReportAdeViolation
}) {
  const { organization, clock, report } = deps
  const scripts = new Map<string, SerialResult[]>()
  const notBefore = new Map<string, number>()
  const unsure = new Set<string>()

  /** Gives a device that profile, or none; to do so again is a breach unless the client could not know. */
  function change(device: AppleDevice, uuid: string | undefined): SerialResult {
    const serial = device.facts.serialNumber
    const isRepeated = device.profileUuid === uuid
    const what = uuid === undefined ? 'has no profile to remove' : `has ${uuid} already`
    if (isRepeated && !unsure.has(serial)) report('assignment_repeated', `${serial} ${what}`)
    unsure.delete(serial)
    if (!isRepeated) organization.setProfile(device, uuid)
    return 'SUCCESS'
  }

  const assignments = {
    assign(device: AppleDevice, uuid: string, version: number): SerialResult {
      const serial = device.facts.serialNumber
      const now = clock.now().getTime()
      const left = (notBefore.get(serial) ?? 0) - now
      if (left > 0) report('called_too_early', `${serial}: ${left} ms before retry_after_seconds has passed`)
      notBefore.delete(serial)
      const scripted = scripts.get(serial)?.shift() ?? 'SUCCESS'
      if (scripted === 'SUCCESS') return change(device, uuid)
      if (scripted !== 'THROTTLED') return scripted
      notBefore.set(serial, now + assignments.throttleSeconds * 1_000)
      return version < SINCE_THROTTLED ? 'FAILED' : scripted
    },
    unassign: (device: AppleDevice) => change(device, undefined),
    /** The client may not know of the last change of this serial number, so making it again is right. */
    unsure: (serialNumber: string) => void unsure.add(serialNumber),
    /** What the next assignments of a serial number come to. */
    script: (serialNumber: string, results: SerialResult[]) => void scripts.set(serialNumber, results),
    /** What `retry_after_seconds` says. */
    throttleSeconds: 60,
  }
  return assignments
}

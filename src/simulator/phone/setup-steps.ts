import type { Clock } from '../../kernel/clock.ts'
import type { DeviceFacts } from '../device-facts.ts'
import type { Person } from '../person.ts'
import type { DeviceHttp } from '../wire/device-http.ts'
import type { ReportViolation } from '../wire/violations.ts'

/** What asking for the enrollment profile came to. */
export type ProfileEnd =
  | { kind: 'profile'; bytes: Buffer; signInTries: number }
  | {
      /** `refused`: the server said no. `stuck`: it cannot go on for another reason. */
      kind: 'refused' | 'stuck'
      /** What the person reads. */
      screen: string
      /** The last answer; undefined when there was none. */
      httpStatus: number | undefined
      signInTries: number
    }

/** An end without a profile, after `tries` passwords. */
export function end(
  kind: 'refused' | 'stuck',
  screen: string,
  httpStatus: number | undefined,
  { tries }: { tries: number },
): ProfileEnd {
  return { kind, screen, httpStatus, signInTries: tries }
}

/** What the steps before the profile need of their phone. */
export interface PhoneSteps {
  http: DeviceHttp
  clock: Clock
  /** Changed by a software update. */
  facts: DeviceFacts
  /** Who manages it, as the screen says. */
  organization: string
  person: Person | undefined
  report: ReportViolation
  /** The signed MachineInfo of the moment. */
  machineInfo(): Promise<Buffer>
  /** It can be told to update itself, up to this version. */
  newestOs: string | undefined
}

/** What the screen says when a refusal gives nothing to say. */
export function genericScreen({ facts, organization }: PhoneSteps): string {
  return `The configuration for your ${facts.modelName} could not be downloaded from ${organization}.`
}

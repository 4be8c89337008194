import { AppError } from '../../../kernel/errors.ts'
import type { PlistDict } from '../../../protocol/plist/index.ts'
import type { Identity } from '../../../protocol/x509/index.ts'
import type { KeyPool } from '../../key-pool.ts'
import { ConnectionLost, MalformedHttp } from '../../wire/device-http.ts'
import { readConfiguration, type Configuration } from '../profiles/configuration.ts'
import { concernsEnrollment, readEnrollmentProfile, updateProblem } from '../profiles/enrollment-profile.ts'
import type { EnrollmentProfile } from '../profiles/enrollment-profile.ts'
import { requestCertificate, type ScepDeps } from '../scep/client.ts'
import { acknowledged, failed, malformed, type Answer } from './answers.ts'

/** The profiles of a device, by identifier. */
export type InstalledProfiles = Map<string, { configuration: Configuration; managed: boolean }>

/** What installing a profile needs of its device. */
export interface InstallDeps extends ScepDeps {
  keys: KeyPool
  profiles: InstalledProfiles
  /** The profile that enrolled the device. */
  enrollment: EnrollmentProfile
  /** The enrollment profile was replaced: from now on the device talks as this. */
  adopt(profile: EnrollmentProfile, identity: Identity): void
}

/**
 * InstallProfile. One with an MDM payload is an update of the enrollment: it must leave alone what is fixed, and its
 * new SCEP payload is run before the answer. https://developer.apple.com/documentation/devicemanagement/install-profile-command
 */
export async function installProfile(command: PlistDict, deps: InstallDeps): Promise<Answer> {
  const payload = command['Payload']
  if (!(payload instanceof Uint8Array)) return malformed
  const now = deps.clock.now()
  try {
    const configuration = readConfiguration(payload, now)
    if (concernsEnrollment(configuration)) return await updateEnrollment(payload, deps)
    deps.profiles.set(configuration.identifier, { configuration, managed: true })
    return acknowledged()
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return failed('MCProfileErrorDomain', 1000, `The profile is not valid: ${error.message}`)
  }
}

/** RemoveProfile of any profile but the one that enrolled the device. */
export function removeProfile(identifier: string, profiles: InstalledProfiles): Answer {
  const found = profiles.get(identifier)
  if (found?.managed !== true)
    return failed('MCMDMErrorDomain', 12013, `The profile “${identifier}” is not managed by MDM.`)
  profiles.delete(identifier)
  return acknowledged()
}

async function updateEnrollment(payload: Uint8Array, deps: InstallDeps): Promise<Answer> {
  try {
    const next = readEnrollmentProfile(payload, deps.clock.now())
    const problem = updateProblem(deps.enrollment, next)
    if (problem !== undefined) {
      deps.report('profile_update_invalid', problem)
      return failed('MCMDMErrorDomain', 12033, `The new MDM payload does not match the old one: ${problem}.`)
    }
    deps.adopt(next, await requestCertificate(deps, next.scep, await deps.keys.next()))
    return acknowledged()
  } catch (error) {
    if (error instanceof ConnectionLost || error instanceof MalformedHttp) {
      return failed('MCSCEPErrorDomain', 22013, 'The SCEP server returned an invalid response.')
    }
    if (!(error instanceof AppError)) throw error
    if (error.code !== 'scep_invalid') deps.report('profile_update_invalid', error.message)
    return failed('MCSCEPErrorDomain', 22013, error.message)
  }
}

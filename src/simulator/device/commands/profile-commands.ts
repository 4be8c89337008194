import { AppError } from '../../../kernel/errors.ts'
import type { PlistDict } from '../../../protocol/plist/index.ts'
import type { Identity } from '../../../protocol/x509/index.ts'
import { DeviceFault, type ErrorLink } from '../../device-fault.ts'
import type { KeyPool } from '../../key-pool.ts'
import { ConnectionLost, MalformedHttp } from '../../wire/device-http.ts'
import { readConfiguration, type Configuration } from '../profiles/configuration.ts'
import { concernsEnrollment, readEnrollmentProfile, updateProblem } from '../profiles/enrollment-profile.ts'
import type { EnrollmentProfile } from '../profiles/enrollment-profile.ts'
import { keepProfile, payloadsOf, presentProfiles, type InstalledProfile } from '../profiles/installed.ts'
import { checkPayloads } from '../profiles/payload-rules.ts'
import { requestCertificate, type ScepDeps } from '../scep/client.ts'
import { acknowledged, failed, failedWith, malformed, refused, type Answer } from './answers.ts'
import { isMac, type DeviceSelf } from './self.ts'

/** What installing a profile needs of its device. */
export interface InstallDeps extends ScepDeps {
  keys: KeyPool
  /** The profile that enrolled the device. */
  enrollment: EnrollmentProfile
  /** The enrollment profile was replaced: from now on the device talks as this. */
  adopt(profile: EnrollmentProfile, identity: Identity): void
}

/** Codes of MCProfileErrorDomain for what a codec refuses. */
const CODEC_CODES: Readonly<Record<string, number>> = { cms_invalid: 1004, x509_invalid: 1004 }

/**
 * InstallProfile. One with an MDM payload is an update of the enrollment: it must leave alone what is fixed, and its
 * new SCEP payload is run before the answer. https://developer.apple.com/documentation/devicemanagement/install-profile-command
 */
export async function installProfile(
  command: PlistDict,
  self: DeviceSelf,
  deps: InstallDeps,
): Promise<Answer> {
  const payload = command['Payload']
  if (!(payload instanceof Uint8Array)) return malformed
  try {
    const configuration = readConfiguration(payload, self.now)
    if (concernsEnrollment(configuration)) return await updateEnrollment(payload, deps)
    if (configuration.identifier === self.enrollmentIdentifier) {
      return failed(
        'MCInstallationErrorDomain',
        4015,
        'The replacement profile does not contain an MDM payload.',
      )
    }
    checkScope(configuration, self)
    checkPayloads(configuration)
    keepProfile(self.profiles, configuration, { managed: true, now: self.now })
    return acknowledged()
  } catch (error) {
    return failedWith(linksOf(error))
  }
}

/** RemoveProfile of any profile but the one that enrolled the device. */
export function removeProfile(identifier: string, { profiles, now }: DeviceSelf): Answer {
  const found = presentProfiles(profiles, now).find(({ stored }) => stored.identifier === identifier)
  if (found === undefined) return refused(12075, `The profile “${identifier}” is not installed.`)
  if (!found.managed) return refused(12013, `The profile “${identifier}” is not managed by MDM.`)
  profiles.delete(identifier)
  return acknowledged()
}

/** ProfileList of the channel. */
export function profileList(command: PlistDict, { profiles, now }: DeviceSelf): Answer {
  const managedOnly = command['ManagedOnly'] === true
  const list = presentProfiles(profiles, now).filter(({ managed }) => managed || !managedOnly)
  return acknowledged({ ProfileList: list.map(describeProfile) })
}

/** What a device answers for what was wrong with a profile; throws what is not the profile's fault. */
function linksOf(error: unknown): readonly ErrorLink[] {
  if (error instanceof DeviceFault) return error.links
  if (!(error instanceof AppError)) throw error
  const description = `The profile is not valid: ${error.message}`
  return [{ domain: 'MCProfileErrorDomain', code: CODEC_CODES[error.code] ?? 1000, description }]
}

/** On Macs a profile belongs to the whole machine or to a user, and is installed on a channel of that kind. */
function checkScope({ scope, identifier }: Configuration, self: DeviceSelf): void {
  if (!isMac(self) || (scope === 'User') === (self.channel === 'user')) return
  const description = `The profile “${identifier}” has scope ${scope} and came on the ${self.channel} channel.`
  throw new DeviceFault({ domain: 'MCProfileErrorDomain', code: 1009, description })
}

async function updateEnrollment(payload: Uint8Array, deps: InstallDeps): Promise<Answer> {
  try {
    const next = readEnrollmentProfile(payload, deps.clock.now())
    const problem = updateProblem(deps.enrollment, next)
    if (problem !== undefined) {
      deps.report('profile_update_invalid', problem)
      return refused(12012, `The new MDM payload does not match the old one: ${problem}.`)
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

function describeProfile(profile: InstalledProfile): PlistDict {
  const { stored, managed } = profile
  const { identifier, uuid, displayName, organization, description, signers } = stored
  return {
    PayloadIdentifier: identifier,
    PayloadUUID: uuid,
    PayloadDisplayName: displayName,
    ...(organization === undefined ? {} : { PayloadOrganization: organization }),
    ...(description === undefined ? {} : { PayloadDescription: description }),
    PayloadRemovalDisallowed: stored.removalDisallowed,
    PayloadVersion: 1,
    HasRemovalPasscode: stored.hasRemovalPasscode,
    IsEncrypted: false,
    IsManaged: managed,
    ...(signers.length === 0 ? {} : { SignerCertificates: signers.map((der) => Uint8Array.from(der)) }),
    PayloadContent: payloadsOf(profile).map((payload) => ({
      PayloadType: payload['PayloadType']!,
      PayloadIdentifier: payload['PayloadIdentifier']!,
      PayloadVersion: 1,
    })),
  }
}

import { buildEnrollmentProfile } from '../../protocol/mobileconfig/index.ts'
import type { DeviceIdentity } from '../device-identity/index.ts'

/** With what configuration profiles are sent (Apple). */
export const PROFILE_HEADERS = {
  'content-type': 'application/x-apple-aspen-config',
  'content-disposition': 'attachment; filename="enrollment.mobileconfig"',
}

/** What the server can do that a profile must say from the first day on. */
const CAPABILITIES = ['com.apple.mdm.per-user-connections', 'com.apple.mdm.bootstraptoken']
const ORGANIZATION = 'Firstboot'

/** Whom a profile is for: an attempt or an enrollment, with a challenge of its own. */
interface ProfileFor {
  /** Id of the attempt or enrollment; the name in the certificate request. */
  reference: string
  challenge: string
  /** Of the push certificate in use. */
  topic: string
}

/** The identifier of every enrollment profile of this installation, so that a new one replaces the old. */
export function profileIdentifier(instanceId: string): string {
  return `firstboot.${instanceId}.enrollment`
}

/** Writes and signs the enrollment profile for one fetch; nothing but its identifier is the same the next time. */
export function renderProfile(
  deps: { identity: Pick<DeviceIdentity, 'signProfile'>; publicUrl: string; instanceId: string },
  wanted: ProfileFor,
): Promise<Buffer> {
  const { identity, publicUrl, instanceId } = deps
  const profile = buildEnrollmentProfile({
    identifier: profileIdentifier(instanceId),
    displayName: 'Device enrollment',
    organization: ORGANIZATION,
    description: 'Lets your organization manage this device.',
    scep: {
      url: `${publicUrl}/scep`,
      name: ORGANIZATION,
      challenge: wanted.challenge,
      subject: [[['O', ORGANIZATION]], [['CN', wanted.reference]]],
    },
    mdm: {
      topic: wanted.topic,
      serverUrl: `${publicUrl}/mdm/connect`,
      checkInUrl: `${publicUrl}/mdm/checkin`,
      serverCapabilities: CAPABILITIES,
    },
  })
  return identity.signProfile(profile)
}

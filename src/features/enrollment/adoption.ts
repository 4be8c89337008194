import type { Tx } from '../../db/index.ts'
import type { ChannelIdentity } from '../../protocol/mdm/index.ts'
import type { Binding } from '../device-identity/index.ts'
import type { EnrollmentDeps, Sender } from './deps.ts'

/**
 * Makes a certificate of a trusted CA that of the device that a message names, if that moved in without one and this is the first
 * that comes. It must be one that nobody here knows: what was issued here is for an attempt, and what is or was another
 * enrollment's stays that. Where the device has a certificate already, an operator's word must hold still.
 */
export async function adoptCertificate(
  trx: Tx,
  deps: Pick<EnrollmentDeps, 'clock' | 'devices' | 'events' | 'identity'>,
  { fingerprint, requestId }: Pick<Sender, 'fingerprint' | 'requestId'>,
  { deviceId, type }: Pick<ChannelIdentity, 'deviceId' | 'type'>,
): Promise<Binding | undefined> {
  if (!(await deps.identity.isUnknown(trx, fingerprint))) return undefined
  const { own: device } = await deps.devices.lockHolders(trx, { deviceId, type, serialNumber: null })
  if (!device?.awaits_certificate || device.unenrolled_at !== null) return undefined
  const replaces = await deps.identity.hasCertificate(trx, device.id)
  const isAllowed = device.re_enrollment_until !== null && deps.clock.now() < device.re_enrollment_until
  if (replaces && !isAllowed) return undefined
  await deps.identity.bind(trx, { enrollmentId: device.id, fingerprint, renewal: false })
  await deps.devices.updateEnrollment(trx, device.id, {
    awaits_certificate: false,
    re_enrollment_until: null,
  })
  await deps.events.emit(trx, {
    type: 'enrollment.certificate_adopted',
    enrollment_id: device.id,
    serial_number: device.serial_number,
    data: { certificate: fingerprint.toString('hex'), replaces },
    request_id: requestId,
  })
  return { enrollment_id: device.id, state: 'active', use: 'current' }
}

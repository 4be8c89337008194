import type { ChannelIdentity } from '../../protocol/mdm/index.ts'
import type { DeviceIdentity } from '../device-identity/index.ts'
import { isRowOf, spaceOf, type Devices } from '../devices/index.ts'

/**
 * What a message is answered that was refused. `unrecognized` tells the device that it is not enrolled here any more,
 * upon which it removes our profile: only for a certificate of ours whose own enrollment has ended.
 */
export interface Refused {
  status: 400 | 403
  reason: string
  unrecognized: boolean
}

/** Either the channel as it is known here, or why this certificate may not speak for it. `isGone`: Apple says so. */
export type Caller = { id: string; deviceId: string; isGone: boolean } | Refused

interface CallerDeps {
  identity: DeviceIdentity
  devices: Devices
  db: Parameters<Devices['findEnrollment']>[0]
  /** Tells of a certificate that speaks although another device has its place. */
  tellContested(enrollmentId: string, sender: Sender): Promise<void>
}

interface Sender {
  fingerprint: Buffer
  requestId: string
}

/**
 * Finds out on whose behalf a certificate speaks. The quick statements ask the same of the database themselves; this
 * is for the rare messages, and for the reason when a statement found no such caller.
 */
export async function findCaller(deps: CallerDeps, from: Sender, identity: ChannelIdentity): Promise<Caller> {
  const bindings = await deps.identity.bindings(deps.db, from.fingerprint)
  const own = bindings.find((binding) => isRowOf(binding.enrollment_id, identity.deviceId))
  if (!own) return refuse(403, bindings.length > 0 ? 'certificate_mismatch' : 'certificate_unbound')
  if (own.state === 'replaced') {
    await deps.tellContested(own.enrollment_id, from)
    return refuse(403, 'certificate_replaced')
  }
  if (own.state === 'ended') return { ...refuse(403, 'enrollment_ended'), unrecognized: true }
  const device = await deps.devices.findEnrollment(deps.db, own.enrollment_id)
  if (!device || device.unenrolled_at !== null)
    return { ...refuse(403, 'enrollment_ended'), unrecognized: true }
  if (spaceOf(device.type) !== spaceOf(identity.type)) return refuse(403, 'certificate_mismatch')
  if (own.use !== 'current') await deps.identity.noteUse(deps.db, device.id, from.fingerprint)
  const isGone = device.unregistered_at !== null
  if (identity.id === identity.deviceId) return { id: device.id, deviceId: device.id, isGone }
  const spelled = device.id + identity.id.slice(identity.deviceId.length)
  const channel = await deps.devices.findEnrollment(deps.db, spelled)
  if (!channel || channel.unenrolled_at !== null) return refuse(400, 'channel_unknown')
  return { id: channel.id, deviceId: device.id, isGone }
}

function refuse(status: 400 | 403, reason: string): Refused {
  return { status, reason, unrecognized: false }
}

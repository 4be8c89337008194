import type { ChannelIdentity } from '../../protocol/mdm/index.ts'
import type { DeviceIdentity } from '../device-identity/index.ts'
import type { Devices } from '../devices/index.ts'

/**
 * What a message is answered that was refused. `unrecognized` tells the device that it is not enrolled here any more,
 * upon which it removes our profile: only for a certificate of ours whose own enrollment has ended.
 */
export interface Refused {
  status: 400 | 403
  reason: string
  unrecognized: boolean
}

/** Either the channel as it is known here, or why this certificate may not speak for it. */
export type Caller = { id: string; deviceId: string } | Refused

/**
 * Finds out on whose behalf a certificate speaks. The quick statements ask the same of the database themselves; this
 * is for the rare messages, and for the reason when a statement found no such caller.
 */
export async function findCaller(
  deps: { identity: DeviceIdentity; devices: Devices; db: Parameters<Devices['findEnrollment']>[0] },
  fingerprint: Buffer,
  identity: ChannelIdentity,
): Promise<Caller> {
  const bindings = await deps.identity.bindings(deps.db, fingerprint)
  const own = bindings.find(
    (binding) => binding.enrollment_id.toLowerCase() === identity.deviceId.toLowerCase(),
  )
  if (!own) return refuse(403, bindings.length > 0 ? 'certificate_mismatch' : 'certificate_unbound')
  if (own.state === 'replaced') return refuse(403, 'certificate_replaced')
  if (own.state === 'ended') return { ...refuse(403, 'enrollment_ended'), unrecognized: true }
  const device = await deps.devices.findEnrollment(deps.db, own.enrollment_id)
  if (!device || device.unenrolled_at !== null)
    return { ...refuse(403, 'enrollment_ended'), unrecognized: true }
  if (identity.id === identity.deviceId) return { id: device.id, deviceId: device.id }
  const spelled = device.id + identity.id.slice(identity.deviceId.length)
  const channel = await deps.devices.findEnrollment(deps.db, spelled)
  if (!channel || channel.unenrolled_at !== null) return refuse(400, 'channel_unknown')
  return { id: channel.id, deviceId: device.id }
}

function refuse(status: 400 | 403, reason: string): Refused {
  return { status, reason, unrecognized: false }
}

import type { Tx } from '../../db/index.ts'
import type { ChannelIdentity } from '../../protocol/mdm/index.ts'
import type { Binding } from '../device-identity/index.ts'
import { isRowOf, spaceOf, type Enrollment } from '../devices/index.ts'
import { adoptCertificate } from './adoption.ts'
import type { EnrollmentDeps, Sender } from './deps.ts'
import { refused, type Refused } from './verdict.ts'
import { tellContested } from './takeover.ts'

type CallerDeps = Pick<EnrollmentDeps, 'clock' | 'devices' | 'events' | 'identity'>
type From = Pick<Sender, 'fingerprint' | 'requestId'>

/** A channel for which a certificate speaks, as it is known here. `isGone`: Apple says so of its device. */
interface Caller {
  id: string
  deviceId: string
  isGone: boolean
}

/**
 * Which binding of a certificate is that to the device that a message names, or why it is not acted upon. The quick statements ask
 * the same of the database (db/statements/caller.ts).
 */
export async function bindingOf(
  trx: Tx,
  deps: CallerDeps,
  bindings: readonly Binding[],
  { deviceId, ...from }: From & { deviceId: string },
): Promise<Binding | Refused> {
  const own = bindings.find((binding) => isRowOf(binding.enrollment_id, deviceId))
  if (!own) return refused(bindings.length > 0 ? 'certificate_mismatch' : 'certificate_unbound')
  if (own.state === 'replaced') {
    await tellContested(trx, deps, { enrollmentId: own.enrollment_id, ...from })
    return refused('certificate_replaced')
  }
  return own.state === 'ended' ? refused('enrollment_ended', { unrecognized: true }) : own
}

/** The device for which a certificate speaks with a message of this channel, and how it is bound to it; or why it may not. */
export async function findSpeaker(
  trx: Tx,
  deps: CallerDeps,
  from: From,
  identity: Pick<ChannelIdentity, 'deviceId' | 'type'>,
): Promise<{ device: Enrollment; own: Binding } | Refused> {
  const bindings = await deps.identity.bindings(trx, from.fingerprint)
  const adopted = bindings.length === 0 ? await adoptCertificate(trx, deps, from, identity) : undefined
  const own = adopted ?? (await bindingOf(trx, deps, bindings, { deviceId: identity.deviceId, ...from }))
  if ('reason' in own) return own
  const device = await deps.devices.lockEnrollment(trx, own.enrollment_id)
  if (!device || device.unenrolled_at !== null) return refused('enrollment_ended', { unrecognized: true })
  if (spaceOf(device.type) !== spaceOf(identity.type)) return refused('certificate_mismatch')
  return { device, own }
}

/** On whose behalf a certificate speaks: for the rare messages, and for the reason when a quick statement found no such caller. */
export async function findCaller(
  trx: Tx,
  deps: CallerDeps,
  from: From,
  identity: ChannelIdentity,
): Promise<Caller | Refused> {
  const speaker = await findSpeaker(trx, deps, from, identity)
  if ('reason' in speaker) return speaker
  const { device, own } = speaker
  if (own.use !== 'current') await deps.identity.noteUse(trx, device.id, from.fingerprint)
  const isGone = device.unregistered_at !== null
  if (identity.id === identity.deviceId) return { id: device.id, deviceId: device.id, isGone }
  const spelled = device.id + identity.id.slice(identity.deviceId.length)
  const channel = await deps.devices.findEnrollment(trx, spelled)
  if (!channel || channel.unenrolled_at !== null) return refused('channel_unknown', { status: 400 })
  return { id: channel.id, deviceId: device.id, isGone }
}

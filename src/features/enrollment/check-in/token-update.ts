import type { Tx } from '../../db/index.ts'
import { addTime } from '../../kernel/clock.ts'
import { newAppleUuid } from '../../kernel/ids.ts'
import { buildCommand, type TokenUpdate } from '../../protocol/mdm/index.ts'
import type { Enrollment } from '../devices/index.ts'
import type { EnrollmentDeps, Sender, Verdict } from './deps.ts'
import { sealMessage, sealToken } from './messages.ts'
import { oweRelease } from './release/release.ts'

type TokenUpdateMessage = Omit<TokenUpdate, 'raw'>

/** The first push often loses the race against the device's own connection to Apple, so one more follows. */
const SECOND_PUSH_SECONDS = 60

/** What is asked of every device once it is enrolled (Apple's DeviceInformation queries that any device answers). */
const FIRST_QUERIES = [
  ...['UDID', 'SerialNumber', 'DeviceName', 'Model', 'ModelName', 'ProductName', 'OSVersion', 'BuildVersion'],
  ...['IsSupervised', 'DeviceCapacity', 'AvailableDeviceCapacity', 'BatteryLevel', 'IMEI', 'MEID', 'WiFiMAC'],
  ...[
    'BluetoothMAC',
    'IsCloudBackupEnabled',
    'IsActivationLockEnabled',
    'IsMDMLostModeEnabled',
    'AwaitingConfiguration',
  ],
]

/**
 * A TokenUpdate that is the first of its channel: it makes the enrollment complete. (Later ones take the short way of
 * one statement and only come here when that found no such enrollment.)
 */
export function tokenUpdate(
  deps: EnrollmentDeps,
  message: TokenUpdateMessage,
  from: Sender,
): Promise<Verdict> {
  return deps.db.transaction(async (trx) => {
    const bindings = await deps.identity.bindings(trx, from.fingerprint)
    const deviceId = message.identity.deviceId
    const own = bindings.find((binding) => binding.enrollment_id.toLowerCase() === deviceId.toLowerCase())
    if (!own) {
      const reason = bindings.length > 0 ? 'certificate_mismatch' : 'certificate_unbound'
      return { ok: false, status: 403, reason }
    }
    if (own.state === 'replaced') return { ok: false, status: 403, reason: 'certificate_replaced' }
    const device = await deps.devices.lockEnrollment(trx, own.enrollment_id)
    if (own.state === 'ended' || !device || device.unenrolled_at !== null)
      return { ok: false, status: 403, reason: 'enrollment_ended', unrecognized: true }
    if (device.topic !== message.topic) return refuseTopic(trx, deps, device, message.topic, from.requestId)
    const isUser = message.identity.id !== message.identity.deviceId
    if (isUser && device.token_update_tally === 0)
      return { ok: false, status: 400, reason: 'device_not_enrolled' }
    const channel = isUser ? await userChannel(trx, deps, device, message) : device
    await store(trx, deps, channel, message, from.raw)
    if (channel.token_update_tally === 0) await complete(trx, deps, channel, message, from.requestId)
    return { ok: true }
  })
}

async function refuseTopic(
  trx: Tx,
  deps: EnrollmentDeps,
  device: Enrollment,
  topic: string,
  requestId: string,
): Promise<Verdict> {
  if (device.token_update_tally === 0 && device.attempt_id !== null)
    await deps.attempts.reject(trx, device.attempt_id, {
      step: 'token_update',
      reason: 'topic_mismatch',
      detail: { topic, expected: device.topic },
      request_id: requestId,
    })
  return { ok: false, status: 400, reason: 'topic_mismatch' }
}

async function userChannel(
  trx: Tx,
  deps: EnrollmentDeps,
  device: Enrollment,
  message: TokenUpdateMessage,
): Promise<Enrollment> {
  const now = deps.clock.now()
  const { type, userId, userShortName, userLongName } = message.identity
  // Spelled with the device's id as it is known, whatever case this message used.
  const id = device.id + message.identity.id.slice(message.identity.deviceId.length)
  await deps.devices.insertEnrollment(trx, {
    id,
    type,
    parent_id: device.id,
    udid: device.udid,
    serial_number: device.serial_number,
    channel_user_id: userId ?? null,
    topic: device.topic,
    authenticated_at: now,
    created_at: now,
    updated_at: now,
  })
  await deps.devices.updateEnrollment(trx, id, {
    ...(userShortName !== undefined && { user_short_name: userShortName }),
    ...(userLongName !== undefined && { user_long_name: userLongName }),
    updated_at: now,
  })
  const channel = await deps.devices.lockEnrollment(trx, id)
  if (!channel) throw new Error('the user channel that was just inserted is gone')
  return channel
}

async function store(
  trx: Tx,
  deps: EnrollmentDeps,
  channel: Enrollment,
  message: TokenUpdateMessage,
  raw: Buffer,
): Promise<void> {
  const now = deps.clock.now()
  await deps.devices.updateEnrollment(trx, channel.id, {
    push_token: Buffer.from(message.token),
    push_magic: message.pushMagic,
    ...(message.unlockToken && {
      unlock_token: sealToken(deps.secretBox, channel.id, 'unlock', message.unlockToken),
    }),
    ...(message.awaitingConfiguration !== undefined && {
      awaiting_configuration: message.awaitingConfiguration,
    }),
    ...(message.notOnConsole !== undefined && { not_on_console: message.notOnConsole }),
    token_update_tally: channel.token_update_tally + 1,
    token_updated_at: now,
    enrolled_at: channel.enrolled_at ?? now,
    unenrolled_at: null,
    push_state: 'ok',
    push_reason: null,
    last_seen_at: now,
    updated_at: now,
  })
  await deps.devices.insertMessage(trx, {
    enrollment_id: channel.id,
    message_type: 'TokenUpdate',
    received_at: now,
    raw: sealMessage(deps.secretBox, channel.id, raw),
  })
}

async function complete(
  trx: Tx,
  deps: EnrollmentDeps,
  channel: Enrollment,
  message: TokenUpdateMessage,
  requestId: string,
): Promise<void> {
  const told = {
    enrollment_id: channel.id,
    serial_number: channel.serial_number,
    request_id: requestId,
    data: { tally: 1, type: channel.type },
  }
  if (channel.parent_id !== null) {
    await deps.events.emit(trx, { type: 'device.token_updated', ...told })
    return
  }
  const attempt =
    channel.attempt_id === null ? undefined : await deps.attempts.complete(trx, channel.attempt_id)
  if (channel.attempt_id !== null)
    await deps.attempts.step(trx, channel.attempt_id, { step: 'token_update', outcome: 'passed' })
  const uuid = newAppleUuid()
  await deps.commands.enqueue(trx, {
    uuid,
    requestType: 'DeviceInformation',
    body: buildCommand(uuid, 'DeviceInformation', { Queries: FIRST_QUERIES }),
    targets: [channel.id],
    purpose: 'inventory',
    pushAgainAt: addTime(deps.clock.now(), SECOND_PUSH_SECONDS, 'second'),
  })
  if (message.awaitingConfiguration === true) await oweRelease(trx, deps, channel, [uuid])
  if (channel.serial_number !== null)
    await deps.ade.noteEnrolled(trx, channel.serial_number, deps.clock.now())
  await deps.events.emit(trx, {
    type: 'device.enrolled',
    ...told,
    attempt_id: channel.attempt_id,
    user_name: attempt?.user_name ?? null,
    data: { ...told.data, awaiting_configuration: message.awaitingConfiguration ?? false },
  })
}

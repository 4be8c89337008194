import { createGroupCommit, type Tx } from '../../../db/index.ts'
import {
  writeTokens,
  type FirstSteps,
  type TokenOutcome,
  type TokenWrite,
} from '../../../db/statements/token-update.ts'
import { newAppleUuid } from '../../../kernel/ids.ts'
import { buildCommand, type TokenUpdate } from '../../../protocol/mdm/index.ts'
import { isRowOf, MOST_MESSAGE_BYTES, spaceOf, type Enrollment } from '../../devices/index.ts'
import { configurationDeadlineMinutes } from '../../enrollment-policies/index.ts'
import type { EnrollmentDeps, Sender, Verdict } from '../deps.ts'
import { sealMessage, sealToken } from '../messages.ts'
import { tellContested } from '../takeover.ts'
import { userChannel } from './user-channel.ts'

type TokenUpdateMessage = Omit<TokenUpdate, 'raw'>

/** A channel as it is spelled here, and the device to which it belongs. */
interface Channel {
  id: string
  deviceId: string
  type: Enrollment['type']
}

const MAX_BATCH = 128
/** The first push often loses the race against the device's own connection to Apple, so one more follows. */
const SECOND_PUSH_SECONDS = 60

/**
 * What is asked of every device once it is enrolled (Apple's DeviceInformation queries that any device answers). IMEI and
 * MEID are in ServiceSubscriptions since iOS 14, and at the top for those before it. None of what OS 27 has removed.
 */
const FIRST_QUERIES = [
  ...['UDID', 'SerialNumber', 'DeviceName', 'Model', 'ModelName', 'ModelNumber', 'ProductName', 'OSVersion'],
  ...['BuildVersion', 'IsSupervised', 'DeviceCapacity', 'AvailableDeviceCapacity', 'BatteryLevel'],
  ...['ServiceSubscriptions', 'IMEI', 'MEID', 'WiFiMAC', 'BluetoothMAC', 'IsCloudBackupEnabled'],
  ...['IsActivationLockEnabled', 'IsMDMLostModeEnabled', 'AwaitingConfiguration'],
]

/** Makes what takes TokenUpdates: the first of a device makes its enrollment complete, later ones bring new tokens. */
export function createTokenUpdates(deps: EnrollmentDeps) {
  const { db, clock, metrics } = deps
  const first = firstSteps()
  const writes = createGroupCommit<TokenWrite, TokenOutcome | undefined>({
    key: ({ enrollmentId }) => enrollmentId,
    run: (batch) => {
      metrics.batchSize.observe({ statement: 'token_update' }, batch.length)
      return writeTokens(db, batch, first, clock.now())
    },
    maxBatch: MAX_BATCH,
  })

  async function write(channel: Channel, message: TokenUpdateMessage, from: Sender): Promise<boolean> {
    const { id, deviceId, type } = channel
    const { unlockToken } = message
    const commandUuid = newAppleUuid()
    const outcome = await writes.submit({
      enrollmentId: id,
      deviceId,
      type,
      fingerprint: from.fingerprint,
      topic: message.topic,
      pushToken: Buffer.from(message.token),
      pushMagic: message.pushMagic,
      unlockToken: unlockToken ? sealToken(deps.secretBox, id, 'unlock', unlockToken) : null,
      awaitingConfiguration: message.awaitingConfiguration ?? null,
      notOnConsole: message.notOnConsole ?? null,
      raw: sealMessage(deps.secretBox, id, from.raw),
      digest: from.digest,
      commandUuid,
    })
    if (!outcome) return false
    if (outcome.is_new_voice) await deps.identity.noteUse(db.kysely, deviceId, from.fingerprint)
    if (outcome.is_device && outcome.tally === 1) tellEnrolled(id, outcome, commandUuid, message, from)
    else tellUpdated(id, outcome, from)
    return true
  }

  function tellUpdated(id: string, { serial_number, tally, type }: TokenOutcome, from: Sender): void {
    deps.devices.seen(id)
    deps.events.announce({
      type: 'device.token_updated',
      enrollment_id: id,
      serial_number,
      request_id: from.requestId,
      data: tally === 1 ? { tally, type } : { tally },
    })
  }

  function tellEnrolled(
    id: string,
    { serial_number, user_name, attempt_id, tally, type }: TokenOutcome,
    uuid: string,
    message: TokenUpdateMessage,
    from: Sender,
  ): void {
    deps.push.wake()
    deps.events.announce({
      type: 'command.queued',
      ...{ enrollment_id: id, serial_number },
      data: { command_uuid: uuid, request_type: 'DeviceInformation', devices: 1 },
    })
    deps.events.announce({
      ...{ type: 'device.enrolled', enrollment_id: id, serial_number, user_name, attempt_id },
      request_id: from.requestId,
      data: { tally, type, awaiting_configuration: message.awaitingConfiguration ?? false },
    })
  }

  return {
    /** Takes a TokenUpdate. */
    async tokenUpdate(message: TokenUpdateMessage, from: Sender): Promise<Verdict> {
      if (await write(message.identity, message, from)) return { ok: true }
      const found = await findChannel(deps, message, from)
      if ('ok' in found) return found
      if (await write(found, message, from)) return { ok: true }
      // The enrollment ended between the two.
      return { ok: false, status: 403, reason: 'enrollment_ended' }
    },
    /** Answers when nothing is in flight any more. */
    idle: writes.idle,
  }
}

function firstSteps(): FirstSteps {
  const uuid = newAppleUuid()
  const plist = buildCommand(uuid, 'DeviceInformation', { Queries: FIRST_QUERIES })
  const at = plist.indexOf(uuid)
  return {
    plist: { head: plist.subarray(0, at), tail: plist.subarray(at + uuid.length) },
    secondPushSeconds: SECOND_PUSH_SECONDS,
    deadlineMinutes: configurationDeadlineMinutes({ ade: { configuration_deadline_minutes: null } }),
    mostMessageBytes: MOST_MESSAGE_BYTES,
  }
}

/**
 * Says why the statement found no channel for a message, or which one it is after all: its id is spelled otherwise, or
 * it is that of a user who is added here.
 */
function findChannel(
  deps: EnrollmentDeps,
  message: TokenUpdateMessage,
  from: Sender,
): Promise<Verdict | Channel> {
  return deps.db.transaction(async (trx) => {
    const bindings = await deps.identity.bindings(trx, from.fingerprint)
    const { id, deviceId } = message.identity
    const own = bindings.find((binding) => isRowOf(binding.enrollment_id, deviceId))
    if (!own) {
      const reason = bindings.length > 0 ? 'certificate_mismatch' : 'certificate_unbound'
      return { ok: false, status: 403, reason }
    }
    if (own.state === 'replaced') {
      await tellContested(trx, deps, { enrollmentId: own.enrollment_id, ...from })
      return { ok: false, status: 403, reason: 'certificate_replaced' }
    }
    const device = await deps.devices.lockEnrollment(trx, own.enrollment_id)
    if (own.state === 'ended' || !device || device.unenrolled_at !== null)
      return { ok: false, status: 403, reason: 'enrollment_ended', unrecognized: true }
    if (spaceOf(device.type) !== spaceOf(message.identity.type))
      return { ok: false, status: 403, reason: 'certificate_mismatch' }
    if (device.topic !== message.topic) return refuseTopic(trx, deps, device, message.topic, from.requestId)
    if (id === deviceId) return { id: device.id, deviceId: device.id, type: device.type }
    if (device.token_update_tally === 0) return { ok: false, status: 400, reason: 'device_not_enrolled' }
    const channel = await userChannel(trx, deps, device, message)
    if (channel.type !== message.identity.type) return { ok: false, status: 403, reason: 'owned_by_another' }
    return { id: channel.id, deviceId: device.id, type: channel.type }
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

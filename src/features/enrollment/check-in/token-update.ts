import { actOfServer } from '../../../kernel/act.ts'
import { SEALED_FOR } from '../../../db/sealed-columns.ts'
import { createGroupCommit, type Tx } from '../../../db/index.ts'
import {
  writeTokens,
  type TokenOutcome,
  type TokenWrite,
  TOKENS_AT_ONCE,
} from '../../../db/statements/token-update.ts'
import type { TokenUpdate } from '../../../protocol/mdm/index.ts'
import { MOST_MESSAGE_BYTES, type Enrollment } from '../../devices/index.ts'
import { toldBy } from '../../events/index.ts'
import { findSpeaker } from '../caller.ts'
import type { EnrollmentDeps, Sender } from '../deps.ts'
import { refused, type Refused, type Verdict } from '../verdict.ts'
import { sealMessage } from '../messages.ts'
import { beginAgain } from './begin-anew.ts'
import { userChannel } from './user-channel.ts'

type TokenUpdateMessage = Omit<TokenUpdate, 'raw'>

/** A channel as it is spelled here, and the device to which it belongs. */
interface Channel {
  id: string
  deviceId: string
  type: Enrollment['type']
}

/** Makes what takes TokenUpdates: the first of a device makes its enrollment complete, later ones bring new tokens. */
export function createTokenUpdates(deps: EnrollmentDeps) {
  const { db, clock, metrics } = deps
  const writes = createGroupCommit<TokenWrite, TokenOutcome | undefined>({
    key: ({ enrollmentId }) => enrollmentId,
    run: (batch) => {
      metrics.batchSize.observe({ statement: 'token_update' }, batch.length)
      return writeTokens(db, batch, MOST_MESSAGE_BYTES, clock.now())
    },
    maxBatch: TOKENS_AT_ONCE,
  })

  async function write(channel: Channel, message: TokenUpdateMessage, from: Sender): Promise<boolean> {
    const { id, deviceId, type } = channel
    const { unlockToken } = message
    if (message.awaitingConfiguration === true && id === deviceId)
      await beginAgainIfErased(deps, message, from)
    const outcome = await writes.submit({
      enrollmentId: id,
      deviceId,
      type,
      fingerprint: from.fingerprint,
      topic: message.topic,
      pushToken: Buffer.from(message.token),
      pushMagic: message.pushMagic,
      unlockToken: unlockToken ? deps.secretBox.seal(unlockToken, SEALED_FOR.unlockToken(id)) : null,
      awaitingConfiguration: message.awaitingConfiguration ?? null,
      notOnConsole: message.notOnConsole ?? null,
      raw: sealMessage(deps.secretBox, id, from.raw),
      digest: from.digest,
    })
    if (!outcome) return false
    if (outcome.is_new_voice) await deps.identity.noteUse(db.kysely, deviceId, from.fingerprint)
    tell(id, outcome, from)
    return true
  }

  function tell(id: string, outcome: TokenOutcome, from: Sender): void {
    const { serial_number, user_name, attempt_id } = outcome
    const told = toldBy(outcome)
    if (told.type === 'device.token_updated') deps.devices.seen(id)
    deps.events.announce({
      ...told,
      enrollment_id: id,
      serial_number,
      user_name,
      attempt_id,
      request_id: from.requestId,
    })
  }

  return {
    /** Takes a TokenUpdate. */
    async tokenUpdate(message: TokenUpdateMessage, from: Sender): Promise<Verdict> {
      if (await write(message.identity, message, from)) return undefined
      const found = await findChannel(deps, message, from)
      if ('reason' in found) return found
      // The enrollment may have ended between the two.
      return (await write(found, message, from)) ? undefined : refused('enrollment_ended')
    },
    /** Answers when nothing is in flight any more. */
    idle: writes.idle,
  }
}

/** A device that has said Authenticate under the certificate in use, and then that it waits, was erased: it begins anew. */
async function beginAgainIfErased(
  deps: EnrollmentDeps,
  { identity }: TokenUpdateMessage,
  from: Sender,
): Promise<void> {
  if (!(await deps.devices.authenticatesAgain(deps.db.kysely, identity.deviceId))) return
  await deps.db.transaction(async (trx) => {
    const speaker = await findSpeaker(trx, deps, from, identity)
    if ('reason' in speaker) return
    const { device } = speaker
    if (device.authenticates_again && device.token_update_tally > 0)
      await beginAgain(trx, deps, device, actOfServer('device', from.requestId))
  })
}

/**
 * Says why the statement found no channel for a message, or which one it is after all: its id is spelled otherwise, or
 * it is that of a user who is added here.
 */
function findChannel(
  deps: EnrollmentDeps,
  message: TokenUpdateMessage,
  from: Sender,
): Promise<Refused | Channel> {
  return deps.db.transaction(async (trx) => {
    const { id, deviceId } = message.identity
    const speaker = await findSpeaker(trx, deps, from, message.identity)
    if ('reason' in speaker) return speaker
    const { device } = speaker
    if (device.topic !== message.topic) return refuseTopic(trx, deps, device, message.topic, from.requestId)
    if (id === deviceId) return { id: device.id, deviceId: device.id, type: device.type }
    if (device.token_update_tally === 0) return refused('device_not_enrolled', { status: 400 })
    const channel = await userChannel(trx, deps, device, message)
    if (channel.type !== message.identity.type) return refused('owned_by_another')
    return { id: channel.id, deviceId: device.id, type: channel.type }
  })
}

async function refuseTopic(
  trx: Tx,
  deps: EnrollmentDeps,
  device: Enrollment,
  topic: string,
  requestId: string,
): Promise<Refused> {
  if (device.token_update_tally === 0 && device.attempt_id !== null)
    await deps.attempts.reject(trx, device.attempt_id, {
      step: 'token_update',
      reason: 'topic_mismatch',
      detail: { topic, expected: device.topic },
      request_id: requestId,
    })
  return refused('topic_mismatch', { status: 400 })
}

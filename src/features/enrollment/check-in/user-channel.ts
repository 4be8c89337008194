import { actOfServer } from '../../../kernel/act.ts'
import type { Tx } from '../../../db/index.ts'
import type { TokenUpdate } from '../../../protocol/mdm/index.ts'
import type { Enrollment } from '../../devices/index.ts'
import type { EnrollmentDeps } from '../deps.ts'

type ChannelDeps = Pick<EnrollmentDeps, 'clock' | 'commands' | 'devices' | 'push'>

/** Channels of users that a device has at a time; a further one takes the place of that unseen longest. */
const MOST_CHANNELS = 100

/** The channel of a user of a device, which is locked: live, unless it is one of another kind, which stays as it is. */
export async function userChannel(
  trx: Tx,
  deps: ChannelDeps,
  device: Enrollment,
  { identity }: Pick<TokenUpdate, 'identity'>,
): Promise<Pick<Enrollment, 'id' | 'type'>> {
  const now = deps.clock.now()
  const { type, userId, userShortName, userLongName } = identity
  // Spelled with the device's id as it is known, whatever case this message used.
  const id = device.id + identity.id.slice(identity.deviceId.length)
  const isNew = await deps.devices.insertEnrollment(trx, {
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
  const channel = await deps.devices.lockEnrollment(trx, id)
  if (!channel) throw new Error('the user channel that was just inserted is gone')
  if (channel.type !== type) return channel
  await deps.devices.updateEnrollment(trx, channel.id, {
    ...(userShortName !== undefined && { user_short_name: userShortName }),
    ...(userLongName !== undefined && { user_long_name: userLongName }),
    unenrolled_at: null,
    updated_at: now,
  })
  if (isNew) await forgetUnseen(trx, deps, device.id, channel.id)
  return channel
}

async function forgetUnseen(trx: Tx, deps: ChannelDeps, deviceId: string, newest: string): Promise<void> {
  const unseen = await deps.devices.unseenChannels(trx, deviceId, { except: newest, most: MOST_CHANNELS - 1 })
  if (unseen.length === 0) return
  await deps.commands.cancelAll(trx, actOfServer('device'), unseen)
  await deps.push.forget(trx, unseen)
  for (const id of unseen) {
    await deps.devices.deleteEnrollment(trx, id)
  }
}

import type { Act } from '../../../kernel/act.ts'
import type { Tx } from '../../../db/index.ts'
import { SEALED_FOR } from '../../../db/sealed-columns.ts'
import { AppError } from '../../../kernel/errors.ts'
import type { Authenticate, ReadCheckin, TokenUpdate } from '../../../protocol/mdm/index.ts'
import { rowIds, spaceOf, type Enrollment } from '../../devices/index.ts'
import { beginAnew, factsOf } from '../check-in/begin-anew.ts'
import { userChannel } from '../check-in/user-channel.ts'
import type { EnrollmentDeps, Sender } from '../deps.ts'
import { keepMessage } from '../messages.ts'

/** What writing down a device that moves in touches. */
export type MovingDeps = Pick<
  EnrollmentDeps,
  'ade' | 'clock' | 'commands' | 'db' | 'devices' | 'events' | 'groups' | 'identity' | 'push' | 'secretBox'
>

/** A message that a device once said to another server, as it came, and who brings it. */
export type Brought = Pick<Sender, 'raw' | 'digest'> & { act: Act }

/** The row of the device of a message, live or not, locked. */
export async function lockOwn(
  trx: Tx,
  deps: MovingDeps,
  { identity }: Pick<ReadCheckin['message'], 'identity'>,
) {
  const { deviceId, type } = identity
  return (await deps.devices.lockHolders(trx, { deviceId, type, serialNumber: null })).own
}

/** Whether a device channel is that of a user enrollment. */
export function typeOf({ identity }: Pick<Authenticate, 'identity'>): 'device' | 'user_enrollment_device' {
  return identity.type === 'user_enrollment_device' ? 'user_enrollment_device' : 'device'
}

/**
 * Writes down a device as its Authenticate tells it, and gives the id of its row: one that is new, `own` as it goes on
 * (`goesOn`), or `own` begun anew.
 */
export async function writeDevice(
  trx: Tx,
  deps: MovingDeps,
  message: Omit<Authenticate, 'raw'>,
  { own, goesOn, ...brought }: Brought & { own: Enrollment | undefined; goesOn: boolean },
): Promise<string> {
  const { act } = brought
  const row = rowOf(message, deps.clock.now())
  const id = own?.id ?? (await add(trx, deps, message.identity.deviceId, row))
  if (goesOn) await deps.devices.updateEnrollment(trx, id, row)
  else if (own !== undefined) await beginAnew(trx, deps, own, { row, fingerprint: null, act })
  await keepMessage(trx, deps, id, message.messageType, brought)
  if (goesOn) await deps.groups.noteTold(trx, id)
  else {
    const told = { act, enrollment_id: id, serial_number: row.serial_number }
    const data = { again: own !== undefined }
    await deps.events.emit(trx, { type: 'device.authenticated', ...told, data })
  }
  return id
}

/** Writes down how a channel is pushed to; the first time it is enrolled by that. It waits in Setup Assistant no more. */
export async function writeTokens(
  trx: Tx,
  deps: MovingDeps,
  channel: Enrollment,
  message: Omit<TokenUpdate, 'raw'>,
  brought: Brought,
): Promise<void> {
  const { unlockToken } = message
  const now = deps.clock.now()
  const tally = channel.token_update_tally + 1
  await deps.devices.updateEnrollment(trx, channel.id, {
    topic: message.topic,
    push_token: Buffer.from(message.token),
    push_magic: message.pushMagic,
    ...(unlockToken && {
      unlock_token: deps.secretBox.seal(unlockToken, SEALED_FOR.unlockToken(channel.id)),
    }),
    ...(message.notOnConsole !== undefined && { not_on_console: message.notOnConsole }),
    token_update_tally: tally,
    token_updated_at: now,
    enrolled_at: channel.enrolled_at ?? now,
    push_state: 'ok',
    push_reason: null,
    updated_at: now,
  })
  await keepMessage(trx, deps, channel.id, message.messageType, brought)
  const { act } = brought
  const told = { act, enrollment_id: channel.id, serial_number: channel.serial_number }
  const { type } = channel
  await deps.events.emit(
    trx,
    channel.parent_id === null && tally === 1
      ? { type: 'device.enrolled', ...told, data: { tally, type, awaiting_configuration: false } }
      : { type: 'device.token_updated', ...told, data: { tally } },
  )
}

/** Keeps a bootstrap token, sealed; without one what is stored goes. */
export async function writeBootstrapToken(
  trx: Tx,
  deps: MovingDeps,
  id: string,
  token: Uint8Array | undefined,
): Promise<void> {
  const bootstrap_token = token?.length ? deps.secretBox.seal(token, SEALED_FOR.bootstrapToken(id)) : null
  await deps.devices.updateEnrollment(trx, id, { bootstrap_token, updated_at: deps.clock.now() })
}

/** The channel of a user of a device, which is locked. Throws `not_found` before the device itself is enrolled. */
export async function channelOf(
  trx: Tx,
  deps: MovingDeps,
  device: Enrollment,
  message: Omit<TokenUpdate, 'raw'>,
): Promise<Enrollment> {
  if (device.token_update_tally === 0)
    throw new AppError('not_found', `The TokenUpdate of ${device.id} must come before those of its users.`)
  const { id, type } = await userChannel(trx, deps, device, message)
  if (type !== message.identity.type)
    throw new AppError('conflict', `${id} is a channel of another kind here.`)
  const channel = await deps.devices.lockEnrollment(trx, id)
  if (channel === undefined) throw new Error('the user channel that was just made is gone')
  return channel
}

/** What the row of a device holds that moves in with this message. */
function rowOf(message: Omit<Authenticate, 'raw'>, now: Date) {
  const { udid = null } = message.identity
  return {
    ...factsOf(message),
    type: typeOf(message),
    udid,
    serial_number: message.serialNumber ?? null,
    topic: message.topic,
    user_id: null,
    attempt_id: null,
    policy_id: null,
    link_id: null,
    way: null,
    awaits_certificate: true,
    authenticated_at: now,
    updated_at: now,
  } as const
}

/** Adds the row of a device: under the plain id, unless a device of the other space has that. */
async function add(
  trx: Tx,
  deps: MovingDeps,
  deviceId: string,
  row: ReturnType<typeof rowOf>,
): Promise<string> {
  const [plain, marked] = rowIds(deviceId)
  const namesake = await deps.devices.findEnrollment(trx, plain)
  const id = namesake !== undefined && spaceOf(namesake.type) !== spaceOf(row.type) ? marked : plain
  const made = { ...row, id, generation: 1, created_at: row.updated_at }
  if (await deps.devices.insertEnrollment(trx, made)) return id
  throw new AppError('conflict', `${deviceId} enrols at this moment; send it once more.`)
}

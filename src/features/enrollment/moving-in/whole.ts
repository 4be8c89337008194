import type { Act } from '../../../kernel/act.ts'
import type { Tx } from '../../../db/index.ts'
import { SEALED_FOR } from '../../../db/sealed-columns.ts'
import { AppError } from '../../../kernel/errors.ts'
import { readCheckin, type ReadCheckin } from '../../../protocol/mdm/index.ts'
import type { Holder } from '../../devices/index.ts'
import {
  channelOf,
  lockOwn,
  writeBootstrapToken,
  writeDevice,
  writeTokens,
  type Brought,
  type MovingDeps,
} from './writes.ts'

/** All that another server knows of a device that is enrolled there. */
interface MovedDevice {
  /** The messages as they came. */
  authenticate: Uint8Array
  tokenUpdate: Uint8Array
  /** The last one that came, which a later TokenUpdate may have left out. */
  unlockToken: Uint8Array | null
  bootstrapToken: Uint8Array | null
  /** SHA-256 of the certificates with which it may speak, the newest last. */
  fingerprints: readonly Buffer[]
  /** When it was last heard of there, if that is known. */
  lastSeenAt: Date | null
  /** The TokenUpdates of its users. */
  users: readonly Uint8Array[]
}

/**
 * What has become of it: new here, brought up to date, the same as before; or left as it is because it has spoken here since it
 * moved, has enrolled here in another way, or has left here since it was heard of there.
 */
export type MovedAs = 'moved' | 'updated' | 'unchanged' | 'spoken_here' | 'enrolled_here' | 'left_here'

/**
 * Moves in a device with its users, tokens and certificates, so that it need not enrol again; nothing that it told here itself is
 * overwritten. Throws `plist_invalid`, `message_invalid`, and `conflict` for a certificate that is somebody else's here.
 */
export async function moveInWhole(
  trx: Tx,
  deps: MovingDeps,
  moved: MovedDevice,
  act: Act,
): Promise<{ as: MovedAs; users: number }> {
  const authenticate = read(moved.authenticate, 'Authenticate', act)
  const token = read(moved.tokenUpdate, 'TokenUpdate', act)
  const { deviceId } = authenticate.message.identity
  if (token.message.identity.id !== deviceId)
    throw new AppError('message_invalid', 'Its TokenUpdate is that of another device')
  const own = await lockOwn(trx, deps, authenticate.message)
  const kept = own && (await whyKept(trx, deps, own, moved))
  if (kept !== undefined) return { as: kept, users: 0 }
  const goesOn = own !== undefined && own.unenrolled_at === null
  const isSame = goesOn && isKnown(deps, own, token.brought.digest, moved)
  const id = isSame ? own.id : await writeWhole(trx, deps, { own, goesOn, authenticate, token, moved })
  const bound = await bindAll(trx, deps, id, moved.fingerprints, goesOn)
  const users = await moveUsers(trx, deps, id, moved.users, act)
  if (!goesOn) return { as: 'moved', users }
  return { as: isSame && bound + users === 0 ? 'unchanged' : 'updated', users }
}

/** Why a device that is or was here stays as it is; undefined where all that is known of it came from the other server. */
async function whyKept(
  trx: Tx,
  deps: MovingDeps,
  own: Holder,
  { lastSeenAt }: MovedDevice,
): Promise<MovedAs | undefined> {
  if (own.unenrolled_at !== null)
    return lastSeenAt !== null && lastSeenAt > own.unenrolled_at ? undefined : 'left_here'
  if (own.way !== null) return 'enrolled_here'
  const hasSpoken = own.last_contact_at !== null || (await deps.identity.hasSpoken(trx, own.id))
  return hasSpoken ? 'spoken_here' : undefined
}

/** Whether the last message and the bootstrap token are those that were brought before. */
function isKnown(
  { secretBox }: MovingDeps,
  { id, message_digest, bootstrap_token }: Holder,
  digest: Buffer,
  { bootstrapToken }: MovedDevice,
): boolean {
  const kept = bootstrap_token && secretBox.open(bootstrap_token, SEALED_FOR.bootstrapToken(id))
  return (
    message_digest?.equals(digest) === true &&
    Buffer.compare(kept ?? Buffer.alloc(0), Buffer.from(bootstrapToken ?? [])) === 0
  )
}

type Read<Type extends string> = {
  message: Extract<ReadCheckin['message'], { messageType: Type }>
  brought: Brought
}

async function writeWhole(
  trx: Tx,
  deps: MovingDeps,
  given: {
    own: Holder | undefined
    goesOn: boolean
    authenticate: Read<'Authenticate'>
    token: Read<'TokenUpdate'>
    moved: MovedDevice
  },
): Promise<string> {
  const { own, goesOn, authenticate, token, moved } = given
  const id = await writeDevice(trx, deps, authenticate.message, { ...authenticate.brought, own, goesOn })
  const device = await deps.devices.lockEnrollment(trx, id)
  if (device === undefined) throw new Error('the device that was just written is gone')
  const unlockToken = token.message.unlockToken ?? moved.unlockToken ?? undefined
  const message = { ...token.message, ...(unlockToken && { unlockToken: new Uint8Array(unlockToken) }) }
  await writeTokens(trx, deps, device, message, token.brought)
  await writeBootstrapToken(trx, deps, id, moved.bootstrapToken ?? undefined)
  return id
}

/** Binds certificates that are not yet bound; gives how many those are. Without any the device awaits its own. */
async function bindAll(
  trx: Tx,
  deps: MovingDeps,
  enrollmentId: string,
  fingerprints: readonly Buffer[],
  goesOn: boolean,
): Promise<number> {
  let count = 0
  for (const fingerprint of fingerprints) {
    const bindings = await deps.identity.bindings(trx, fingerprint)
    const isOwn = bindings.some(({ enrollment_id }) => enrollment_id === enrollmentId)
    if (isOwn && goesOn) continue
    if (!isOwn && !(await deps.identity.isUnknown(trx, fingerprint)))
      throw new AppError('conflict', 'Its certificate is that of another device here.')
    await deps.identity.bind(trx, { enrollmentId, fingerprint, renewal: true })
    count += 1
  }
  if (fingerprints.length > 0)
    await deps.devices.updateEnrollment(trx, enrollmentId, { awaits_certificate: false })
  return count
}

async function moveUsers(
  trx: Tx,
  deps: MovingDeps,
  deviceId: string,
  users: readonly Uint8Array[],
  act: Act,
): Promise<number> {
  let count = 0
  for (const body of users) {
    const { message, brought } = read(body, 'TokenUpdate', act)
    const device = await deps.devices.lockEnrollment(trx, deviceId)
    if (device === undefined) throw new Error('the device that was just written is gone')
    const channel = await channelOf(trx, deps, device, message)
    if (channel.message_digest?.equals(brought.digest)) continue
    await writeTokens(trx, deps, channel, message, brought)
    count += 1
  }
  return count
}

function read<Type extends 'Authenticate' | 'TokenUpdate'>(
  body: Uint8Array,
  type: Type,
  act: Act,
): Read<Type> {
  const { message, sha256 } = readCheckin(body)
  if (message.messageType !== type)
    throw new AppError('message_invalid', `Its ${type} is a ${message.messageType}`)
  return {
    message: message as Read<Type>['message'],
    brought: { raw: Buffer.from(body), digest: sha256, act },
  }
}

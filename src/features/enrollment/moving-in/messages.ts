import type { Act } from '../../../kernel/act.ts'
import type { Tx } from '../../../db/index.ts'
import { AppError } from '../../../kernel/errors.ts'
import type { Authenticate, ReadCheckin, TokenUpdate } from '../../../protocol/mdm/index.ts'
import type { Enrollment, Holder } from '../../devices/index.ts'
import { giveWord } from '../re-enrollment.ts'
import { maySend } from '../takeover.ts'
import {
  channelOf,
  lockOwn,
  typeOf,
  writeBootstrapToken,
  writeDevice,
  writeTokens,
  type Brought,
  type MovingDeps,
} from './writes.ts'

type Message = ReadCheckin['message']

/**
 * Takes a message that a device once said to another server, from an operator: Authenticate, TokenUpdate or SetBootstrapToken. The
 * enrollment awaits its certificate then (see `adoptCertificate`). Of a device that has its certificate here nothing that it told
 * is overwritten: another identity may take its place for an hour, as an operator allows that. Throws `invalid_request` for
 * another message, `not_found` for a device that has not said Authenticate, `conflict` for one of another kind.
 */
export function moveIn(deps: MovingDeps, message: Message, brought: Brought): Promise<void> {
  return deps.db.transaction((trx) => {
    switch (message.messageType) {
      case 'Authenticate':
        return takeAuthenticate(trx, deps, message, brought)
      case 'TokenUpdate':
        return takeTokenUpdate(trx, deps, message, brought)
      case 'SetBootstrapToken':
        return takeBootstrapToken(trx, deps, message, brought)
      default:
        throw new AppError(
          'invalid_request',
          `${message.messageType} moves nobody in: only Authenticate, TokenUpdate and SetBootstrapToken do.`,
        )
    }
  })
}

async function takeAuthenticate(
  trx: Tx,
  deps: MovingDeps,
  message: Omit<Authenticate, 'raw'>,
  brought: Brought,
): Promise<void> {
  const { own, isAwaiting } = await lockDevice(trx, deps, message)
  if (own !== undefined && !isAwaiting) {
    const may = maySend(own, { deviceId: own.id, type: typeOf(message) }, deps.clock.now())
    if (may === undefined) throw new AppError('conflict', `${own.id} is enrolled here as something else.`)
    if (may === 'allowed') return allow(trx, deps, own, brought.act)
  }
  await writeDevice(trx, deps, message, { ...brought, own, goesOn: isAwaiting })
}

async function takeTokenUpdate(
  trx: Tx,
  deps: MovingDeps,
  message: Omit<TokenUpdate, 'raw'>,
  brought: Brought,
): Promise<void> {
  const { device, isAwaiting } = await lockKnown(trx, deps, message)
  if (!isAwaiting) await allow(trx, deps, device, brought.act)
  const { identity } = message
  const channel = identity.id === identity.deviceId ? device : await channelOf(trx, deps, device, message)
  // What it told us itself is newer.
  if (!isAwaiting && channel.token_update_tally > 0) return
  await writeTokens(trx, deps, channel, message, brought)
}

async function takeBootstrapToken(
  trx: Tx,
  deps: MovingDeps,
  message: Extract<Message, { messageType: 'SetBootstrapToken' }>,
  { act }: Brought,
): Promise<void> {
  const { device, isAwaiting } = await lockKnown(trx, deps, message)
  if (!isAwaiting) await allow(trx, deps, device, act)
  if (!isAwaiting && device.bootstrap_token !== null) return
  await writeBootstrapToken(trx, deps, device.id, message.bootstrapToken)
}

/** The device of a message, locked, and whether all that is known of it came by an operator. */
async function lockDevice(
  trx: Tx,
  deps: MovingDeps,
  message: Pick<Message, 'identity'>,
): Promise<{ own: Holder | undefined; isAwaiting: boolean }> {
  const own = await lockOwn(trx, deps, message)
  const isAwaiting =
    own !== undefined &&
    own.unenrolled_at === null &&
    own.awaits_certificate &&
    !(await deps.identity.hasCertificate(trx, own.id))
  return { own, isAwaiting }
}

async function lockKnown(
  trx: Tx,
  deps: MovingDeps,
  message: Pick<Message, 'identity'>,
): Promise<{ device: Holder; isAwaiting: boolean }> {
  const { own, isAwaiting } = await lockDevice(trx, deps, message)
  if (own === undefined || own.unenrolled_at !== null)
    throw new AppError(
      'not_found',
      `Authenticate must come first: ${message.identity.deviceId} is not enrolled.`,
    )
  return { device: own, isAwaiting }
}

async function allow(trx: Tx, deps: MovingDeps, device: Enrollment, act: Act): Promise<void> {
  await giveWord(trx, deps, device, act, { awaits_certificate: true })
}

import type { Db } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { ReadCheckin } from '../../protocol/mdm/index.ts'
import { writePlist, type WritablePlist } from '../../protocol/plist/index.ts'
import type { DeclarationHook } from '../declarations/index.ts'
import type { Devices } from '../devices/index.ts'
import { refused, type Enrollment, type Refused, type Verdict } from '../enrollment/index.ts'
import type { Events } from '../events/index.ts'
import type { SettingsDoor } from '../settings/index.ts'
import type { SetupRelease } from '../setup-release/index.ts'

export interface CheckinDeps {
  db: Db
  clock: Clock
  events: Events
  settings: SettingsDoor
  devices: Devices
  enrollment: Enrollment
  setupRelease: Pick<SetupRelease, 'wake'>
  declarations: DeclarationHook
}

/** An answer with a body (a property list unless `type` says otherwise) or empty, with a status for which the protocol has a meaning; or a refusal. */
type CheckinAnswer = { status: number; body: Buffer | null; type?: string; reason?: string } | Refused

interface From {
  fingerprint: Buffer
  raw: Buffer
  digest: Buffer
  requestId: string
}

const EMPTY: CheckinAnswer = { status: 200, body: null }

/** Makes the check-in endpoint: one function from a message and its sender to the answer. */
export function createCheckin(deps: CheckinDeps) {
  /** The messages that only an enrolled channel may send, answered for the channel as it is known here. */
  async function enrolled(message: EnrolledMessage, from: From): Promise<CheckinAnswer> {
    const caller = await deps.enrollment.findCaller(from, senderOf(message))
    if ('reason' in caller) {
      // A device that acknowledged the removal of its profile may still say goodbye.
      return message.messageType === 'CheckOut' && caller.unrecognized ? EMPTY : caller
    }
    if (caller.isGone) await deps.devices.noteAlive(deps.db.kysely, caller.deviceId)
    deps.devices.seen(caller.id)
    switch (message.messageType) {
      case 'CheckOut':
        await deps.enrollment.checkOut(caller.id, from)
        return EMPTY
      case 'SetBootstrapToken':
        await deps.enrollment.setBootstrapToken(caller.id, message.bootstrapToken, from)
        return EMPTY
      case 'GetBootstrapToken': {
        const token = await deps.enrollment.bootstrapToken(caller.id)
        // Without a stored token the data is empty, which is not an error.
        return { status: 200, body: plist({ BootstrapToken: token ?? new Uint8Array() }) }
      }
      case 'UserAuthenticate':
        return userAuthenticate(message.digestResponse !== undefined)
      case 'GetToken':
        return refused('service_unknown', { status: 400 })
      case 'DeclarativeManagement': {
        if (deps.declarations === null) return { status: 404, body: null, reason: 'declarations_not_managed' }
        const asker = { ...caller, type: message.identity.type }
        return { ...(await deps.declarations(asker, message)), type: 'application/json' }
      }
      case 'ReturnToService':
        return {
          status: 200,
          body: plist({ ReturnToService: { Enabled: false } }),
          reason: 'return_to_service_refused',
        }
    }
  }

  async function userAuthenticate(isSecond: boolean): Promise<CheckinAnswer> {
    const { user_authenticate: how } = await deps.settings.get()
    if (how === 'refuse') return { status: 410, body: null, reason: 'user_not_managed' }
    // An empty challenge accepts the user without a password.
    return isSecond ? EMPTY : { status: 200, body: plist({ DigestChallenge: '' }) }
  }

  async function tokenUpdate(message: TokenUpdate, from: From): Promise<CheckinAnswer> {
    const verdict = await deps.enrollment.tokenUpdate(message, from)
    if (verdict === undefined && message.awaitingConfiguration === true)
      deps.setupRelease.wake([message.identity.deviceId])
    return fromVerdict(verdict)
  }

  function checkin({ message }: Pick<ReadCheckin, 'message'>, from: From): Promise<CheckinAnswer> {
    switch (message.messageType) {
      case 'Authenticate':
        return deps.enrollment.authenticate(message, from).then(fromVerdict)
      case 'TokenUpdate':
        return tokenUpdate(message, from)
      default:
        return enrolled(message, from)
    }
  }

  return checkin
}

type TokenUpdate = Extract<ReadCheckin['message'], { messageType: 'TokenUpdate' }>
type EnrolledMessage = Exclude<ReadCheckin['message'], { messageType: 'Authenticate' | 'TokenUpdate' }>

function plist(answer: Record<string, WritablePlist>): Buffer {
  return Buffer.from(writePlist(answer))
}

/** A network user of a Mac has no channel before TokenUpdate, so UserAuthenticate speaks for its device. */
function senderOf(message: EnrolledMessage): EnrolledMessage['identity'] {
  const { identity } = message
  return message.messageType === 'UserAuthenticate'
    ? { ...identity, id: identity.deviceId, type: 'device' }
    : identity
}

function fromVerdict(verdict: Verdict): CheckinAnswer {
  return verdict ?? EMPTY
}

import type { ChannelIdentity } from './identity.ts'
import type { MessageDict } from './open-message.ts'

interface Message<Type extends string> {
  messageType: Type
  identity: ChannelIdentity
  /** Every key of the message as it came, the unknown ones too. */
  raw: MessageDict
}

/** The start of an enrolment, on the device channel. Everything but the topic may be missing. */
export interface Authenticate extends Message<'Authenticate'> {
  topic: string
  deviceName?: string
  model?: string
  modelName?: string
  osVersion?: string
  buildVersion?: string
  productName?: string
  serialNumber?: string
  imei?: string
  meid?: string
}

/** What is needed to wake the channel. A missing unlock token leaves the stored one valid. */
export interface TokenUpdate extends Message<'TokenUpdate'> {
  topic: string
  token: Uint8Array<ArrayBuffer>
  pushMagic: string
  unlockToken?: Uint8Array<ArrayBuffer>
  awaitingConfiguration?: boolean
  notOnConsole?: boolean
}

/** The profile was removed. */
interface CheckOut extends Message<'CheckOut'> {
  topic?: string
}

/** A network user of a Mac logs in; `digestResponse` is there (and may be empty) in the second message. */
export interface UserAuthenticate extends Message<'UserAuthenticate'> {
  digestResponse?: string
}

/** A new bootstrap token; without one the stored token is to be deleted. */
export interface SetBootstrapToken extends Message<'SetBootstrapToken'> {
  bootstrapToken?: Uint8Array<ArrayBuffer>
  awaitingConfiguration?: boolean
}

/** Asks for the stored bootstrap token. */
export interface GetBootstrapToken extends Message<'GetBootstrapToken'> {
  awaitingConfiguration?: boolean
}

/** Asks for a token of a service, `com.apple.maid` or `com.apple.watch.pairing`. */
export interface GetToken extends Message<'GetToken'> {
  tokenServiceType: string
  tokenParameters: { securityToken?: string; phoneUdid?: string; watchUdid?: string }
}

/** Declarative management: `endpoint` is `tokens`, `declaration-items`, `status` or `declaration/...`. */
export interface DeclarativeManagement extends Message<'DeclarativeManagement'> {
  endpoint: string
  data?: Uint8Array<ArrayBuffer>
}

/** Asks, after an erase, how to come back. */
export type ReturnToService = Message<'ReturnToService'>

/** A check-in message. Source: Apple's `mdm/checkin/*.yaml`. */
export type CheckinMessage =
  | Authenticate
  | TokenUpdate
  | CheckOut
  | UserAuthenticate
  | SetBootstrapToken
  | GetBootstrapToken
  | GetToken
  | DeclarativeManagement
  | ReturnToService

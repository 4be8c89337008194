import { AppError } from '../../kernel/errors.ts'
import { serialNumberOf } from '../../kernel/serial-number.ts'
import { isDict } from '../plist/index.ts'
import { checkedId, optionalText, readIdentity, type ChannelIdentity } from './identity.ts'
import { openMessage, type MessageDict } from './open-message.ts'

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
interface UserAuthenticate extends Message<'UserAuthenticate'> {
  digestResponse?: string
}

/** A new bootstrap token; without one the stored token is to be deleted. */
interface SetBootstrapToken extends Message<'SetBootstrapToken'> {
  bootstrapToken?: Uint8Array<ArrayBuffer>
  awaitingConfiguration?: boolean
}

/** Asks for the stored bootstrap token. */
interface GetBootstrapToken extends Message<'GetBootstrapToken'> {
  awaitingConfiguration?: boolean
}

/** Asks for a token of a service, `com.apple.maid` or `com.apple.watch.pairing`. */
interface GetToken extends Message<'GetToken'> {
  tokenServiceType: string
  tokenParameters: { securityToken?: string; phoneUdid?: string; watchUdid?: string }
}

/** Declarative management: `endpoint` is `tokens`, `declaration-items`, `status` or `declaration/...`. */
interface DeclarativeManagement extends Message<'DeclarativeManagement'> {
  endpoint: string
  data?: Uint8Array<ArrayBuffer>
}

/** Asks, after an erase, how to come back. */
type ReturnToService = Message<'ReturnToService'>

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

/** Longest token of any kind that is taken; the longest that Apple's devices send have a few thousand bytes. */
const LONGEST_TOKEN = 65_536

/**
 * Reads a check-in message. Optional keys of another type than Apple's count as absent, as do those that cannot be read,
 * since a device is never told why it was refused. Throws `plist_invalid`, or `message_invalid` for an unknown
 * MessageType, a missing key or an unusable identity.
 */
export function parseCheckin(bytes: Uint8Array): CheckinMessage {
  const { raw, refusal } = openMessage(bytes)
  try {
    return readMessage(raw)
  } catch (error) {
    throw refusal ?? error
  }
}

function readMessage(raw: MessageDict): CheckinMessage {
  const type = raw['MessageType']
  if (typeof type !== 'string') throw new AppError('message_invalid', 'MessageType is missing')
  const read = READERS.get(type)
  if (read === undefined) {
    throw new AppError('message_invalid', `Unknown MessageType ${JSON.stringify(type.slice(0, 64))}`)
  }
  return read(raw, readIdentity(raw))
}

type Reader = (raw: MessageDict, identity: ChannelIdentity) => CheckinMessage

const READERS: ReadonlyMap<string, Reader> = new Map<CheckinMessage['messageType'], Reader>([
  ['Authenticate', readAuthenticate],
  ['TokenUpdate', readTokenUpdate],
  [
    'CheckOut',
    (raw, identity) => ({ messageType: 'CheckOut', identity, raw, ...texts(raw, { topic: 'Topic' }) }),
  ],
  ['UserAuthenticate', readUserAuthenticate],
  ['SetBootstrapToken', readSetBootstrapToken],
  ['GetBootstrapToken', readGetBootstrapToken],
  ['GetToken', readGetToken],
  ['DeclarativeManagement', readDeclarativeManagement],
  ['ReturnToService', readReturnToService],
])

function readAuthenticate(raw: MessageDict, identity: ChannelIdentity): Authenticate {
  requireDeviceChannel('Authenticate', identity)
  return {
    messageType: 'Authenticate',
    identity,
    raw,
    topic: checkedId(raw['Topic'], 'Topic'),
    ...serialIn(raw['SerialNumber']),
    ...texts(raw, {
      deviceName: 'DeviceName',
      model: 'Model',
      modelName: 'ModelName',
      osVersion: 'OSVersion',
      buildVersion: 'BuildVersion',
      productName: 'ProductName',
      imei: 'IMEI',
      meid: 'MEID',
    }),
  }
}

/** What is no serial number counts as absent. */
function serialIn(value: unknown): { serialNumber?: string } {
  const serialNumber = serialNumberOf(value)
  return serialNumber === undefined ? {} : { serialNumber }
}

function readTokenUpdate(raw: MessageDict, identity: ChannelIdentity): TokenUpdate {
  const token = raw['Token']
  if (!(token instanceof Uint8Array) || token.length === 0)
    throw new AppError('message_invalid', 'Token is missing or not data')
  if (token.length > LONGEST_TOKEN)
    throw new AppError('message_invalid', `Token is longer than ${LONGEST_TOKEN} bytes`)
  return {
    messageType: 'TokenUpdate',
    identity,
    raw,
    topic: checkedId(raw['Topic'], 'Topic'),
    token,
    pushMagic: checkedId(raw['PushMagic'], 'PushMagic'),
    ...data(raw, { unlockToken: 'UnlockToken' }),
    ...flags(raw, { awaitingConfiguration: 'AwaitingConfiguration', notOnConsole: 'NotOnConsole' }),
  }
}

function readUserAuthenticate(raw: MessageDict, identity: ChannelIdentity): UserAuthenticate {
  if (identity.type !== 'user')
    throw new AppError('message_invalid', 'UserAuthenticate needs UDID and UserID')
  const digestResponse = raw['DigestResponse']
  return {
    messageType: 'UserAuthenticate',
    identity,
    raw,
    ...(typeof digestResponse === 'string' ? { digestResponse } : {}),
  }
}

function readSetBootstrapToken(raw: MessageDict, identity: ChannelIdentity): SetBootstrapToken {
  requireDeviceChannel('SetBootstrapToken', identity)
  const token = raw['BootstrapToken']
  // Without a token the stored one is deleted, so one that cannot be read must not count as absent.
  if (token !== undefined && !(token instanceof Uint8Array))
    throw new AppError('message_invalid', 'BootstrapToken is not data')
  if (token !== undefined && token.length > LONGEST_TOKEN)
    throw new AppError('message_invalid', `BootstrapToken is longer than ${LONGEST_TOKEN} bytes`)
  return {
    messageType: 'SetBootstrapToken',
    identity,
    raw,
    ...data(raw, { bootstrapToken: 'BootstrapToken' }),
    ...flags(raw, { awaitingConfiguration: 'AwaitingConfiguration' }),
  }
}

function readGetBootstrapToken(raw: MessageDict, identity: ChannelIdentity): GetBootstrapToken {
  requireDeviceChannel('GetBootstrapToken', identity)
  return {
    messageType: 'GetBootstrapToken',
    identity,
    raw,
    ...flags(raw, { awaitingConfiguration: 'AwaitingConfiguration' }),
  }
}

function readGetToken(raw: MessageDict, identity: ChannelIdentity): GetToken {
  const given = raw['TokenParameters']
  return {
    messageType: 'GetToken',
    identity,
    raw,
    tokenServiceType: checkedId(raw['TokenServiceType'], 'TokenServiceType'),
    tokenParameters: isDict(given)
      ? texts(
          given,
          { securityToken: 'SecurityToken', phoneUdid: 'PhoneUDID', watchUdid: 'WatchUDID' },
          LONGEST_TOKEN,
        )
      : {},
  }
}

function readDeclarativeManagement(raw: MessageDict, identity: ChannelIdentity): DeclarativeManagement {
  return {
    messageType: 'DeclarativeManagement',
    identity,
    raw,
    endpoint: checkedId(raw['Endpoint'], 'Endpoint'),
    ...data(raw, { data: 'Data' }, Infinity),
  }
}

function readReturnToService(raw: MessageDict, identity: ChannelIdentity): ReturnToService {
  requireDeviceChannel('ReturnToService', identity)
  return { messageType: 'ReturnToService', identity, raw }
}

function requireDeviceChannel(type: string, identity: ChannelIdentity): void {
  if (identity.id !== identity.deviceId)
    throw new AppError('message_invalid', `${type} came from a user channel`)
}

type Members<Names extends Record<string, string>, Value> = { -readonly [Name in keyof Names]?: Value }

function texts<const Names extends Record<string, string>>(
  raw: MessageDict,
  names: Names,
  longest?: number,
): Members<Names, string> {
  return pick(names, (key) => optionalText(raw, key, longest))
}

function data<const Names extends Record<string, string>>(
  raw: MessageDict,
  names: Names,
  longest = LONGEST_TOKEN,
): Members<Names, Uint8Array<ArrayBuffer>> {
  return pick(names, (key) => {
    const value = raw[key]
    return value instanceof Uint8Array && value.length > 0 && value.length <= longest ? value : undefined
  })
}

function flags<const Names extends Record<string, string>>(
  raw: MessageDict,
  names: Names,
): Members<Names, boolean> {
  return pick(names, (key) => {
    const value = raw[key]
    return typeof value === 'boolean' ? value : undefined
  })
}

function pick<Names extends Record<string, string>, Value>(
  names: Names,
  read: (key: string) => Value | undefined,
): Members<Names, Value> {
  const result: Members<Names, Value> = {}
  for (const name of Object.keys(names) as (keyof Names)[]) {
    const value = read(names[name] as string)
    if (value !== undefined) result[name] = value
  }
  return result
}

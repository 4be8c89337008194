import { AppError } from '../../kernel/errors.ts'
import type { MessageDict } from './open-message.ts'

/** The UserID that every user of a Shared iPad has. */
const SHARED_IPAD_USER = 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF'

/** What stands for bytes that are no text (see `salvagePlist`): two ids must not become one by it. */
const UNREAD = '\ufffd'

/** Longest part of an id. */
const LONGEST_ID = 256
const PLAIN = /^[!-~]+$/

/** The channel that a message came through. */
type ChannelType = 'device' | 'user' | 'shared_ipad_user' | 'user_enrollment_device' | 'user_enrollment_user'

/**
 * Whose message it is, by NanoMDM's rules: a device channel's id is its UDID or EnrollmentID, a user channel's is
 * `<device>:<user>`, where the user of a Shared iPad is the short name (the Managed Apple Account). Ids are as sent.
 */
export interface ChannelIdentity {
  id: string
  type: ChannelType
  /** The id of the device channel; equal to `id` on the device channel itself. */
  deviceId: string
  udid?: string
  enrollmentId?: string
  /** UserID (as sent, on a Shared iPad too) or EnrollmentUserID. */
  userId?: string
  userShortName?: string
  userLongName?: string
}

/**
 * Reads the identity keys of a check-in or command message. Throws `message_invalid` when there is not exactly one
 * of UDID and EnrollmentID, or when one of the keys that make the id is no usable text: 1 to 256 characters, none of them a
 * control character, or a comma, which separates ids where several are named. A device's part is plain ASCII without blanks, so
 * that it has one spelling but for its case, and without the colon that separates the user.
 */
export function readIdentity(raw: MessageDict): ChannelIdentity {
  const udid = idPart(raw, 'UDID', true)
  const enrollmentId = idPart(raw, 'EnrollmentID', true)
  if (udid !== undefined && enrollmentId !== undefined) refuse('Both UDID and EnrollmentID are present')
  if (udid !== undefined) return { ...readUdidChannel(raw, udid), udid, ...userNames(raw) }
  if (enrollmentId === undefined) return refuse('Neither UDID nor EnrollmentID is present')
  const userId = idPart(raw, 'EnrollmentUserID', false)
  if (userId === undefined) {
    return { id: enrollmentId, type: 'user_enrollment_device', deviceId: enrollmentId, enrollmentId }
  }
  const id = `${enrollmentId}:${userId}`
  return {
    id,
    type: 'user_enrollment_user',
    deviceId: enrollmentId,
    enrollmentId,
    userId,
    ...userNames(raw),
  }
}

function readUdidChannel(raw: MessageDict, udid: string): ChannelIdentity {
  const userId = idPart(raw, 'UserID', false)
  if (userId === undefined) return { id: udid, type: 'device', deviceId: udid }
  if (userId.toUpperCase() !== SHARED_IPAD_USER) {
    return { id: `${udid}:${userId}`, type: 'user', deviceId: udid, userId }
  }
  const shortName = idPart(raw, 'UserShortName', false)
  if (shortName === undefined) return refuse('UserShortName is missing for the user of a Shared iPad')
  return { id: `${udid}:${shortName}`, type: 'shared_ipad_user', deviceId: udid, userId }
}

function userNames(raw: MessageDict): Pick<ChannelIdentity, 'userShortName' | 'userLongName'> {
  const userShortName = optionalText(raw, 'UserShortName')
  const userLongName = optionalText(raw, 'UserLongName')
  return {
    ...(userShortName === undefined ? {} : { userShortName }),
    ...(userLongName === undefined ? {} : { userLongName }),
  }
}

function idPart(raw: MessageDict, key: string, isDevice: boolean): string | undefined {
  const value = raw[key]
  if (value === undefined) return undefined
  const text = checkedId(value, key)
  if (text.includes(',')) refuse(`${key} holds a comma`)
  if (isDevice && text.includes(':')) refuse(`${key} holds a colon`)
  if (isDevice && !PLAIN.test(text)) refuse(`${key} holds what is not plain ASCII`)
  return text
}

/** A text that may serve as an id or go to Apple: 1 to 256 characters, no control characters. */
export function checkedId(value: unknown, key: string): string {
  if (typeof value !== 'string')
    return refuse(value === undefined ? `${key} is missing` : `${key} is not a string`)
  if (value === '') refuse(`${key} is empty`)
  if (value.length > LONGEST_ID) refuse(`${key} is longer than ${LONGEST_ID} characters`)
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f-\u009f]/.test(value)) refuse(`${key} holds a control character`)
  // A copy: a slice would keep the whole message alive for as long as the id is cached.
  const id = Buffer.from(value, 'utf8').toString('utf8')
  return id.includes(UNREAD) ? refuse(`${key} holds what is no character`) : id
}

/**
 * An optional text; anything else, or an empty one, counts as absent. What is longer than an id is cut, and U+0000,
 * which no database takes, is replaced: the message itself keeps both.
 */
export function optionalText(raw: MessageDict, key: string, longest = LONGEST_ID): string | undefined {
  const value = raw[key]
  if (typeof value !== 'string' || value === '') return undefined
  return value.slice(0, longest).toWellFormed().replaceAll('\u0000', '\ufffd')
}

function refuse(reason: string): never {
  throw new AppError('message_invalid', reason)
}

import type { PlistDict } from '../../protocol/plist/index.ts'
import type { DeviceFacts } from '../device-facts.ts'

/** A check-in message. */
export type CheckInMessage = PlistDict & { MessageType: string }

/** What identifies a channel's device in every message: UDID, or EnrollmentID in a user enrollment. */
export function deviceIds(facts: DeviceFacts, enrollmentId: string | undefined): PlistDict {
  return enrollmentId === undefined ? { UDID: facts.udid } : { EnrollmentID: enrollmentId }
}

/** https://developer.apple.com/documentation/devicemanagement/authenticaterequest */
export function authenticateMessage(facts: DeviceFacts, ids: PlistDict, topic: string): CheckInMessage {
  const personal = 'EnrollmentID' in ids
  return {
    MessageType: 'Authenticate',
    ...ids,
    Topic: topic,
    DeviceName: facts.deviceName,
    Model: facts.model,
    ModelName: facts.modelName,
    OSVersion: facts.osVersion,
    BuildVersion: facts.buildVersion,
    ProductName: facts.productName,
    ...(personal ? {} : { SerialNumber: facts.serialNumber }),
    ...(personal || facts.imei === undefined ? {} : { IMEI: facts.imei }),
  }
}

/** https://developer.apple.com/documentation/devicemanagement/tokenupdaterequest */
export function tokenUpdateMessage(
  ids: PlistDict,
  push: { topic: string; token: Uint8Array<ArrayBuffer>; magic: string },
  extra: PlistDict = {},
): CheckInMessage {
  const { topic, token, magic } = push
  return { MessageType: 'TokenUpdate', ...ids, Topic: topic, Token: token, PushMagic: magic, ...extra }
}

/** https://developer.apple.com/documentation/devicemanagement/checkoutrequest */
export function checkOutMessage(ids: PlistDict, topic: string): CheckInMessage {
  return { MessageType: 'CheckOut', ...ids, Topic: topic }
}

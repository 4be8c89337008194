import type { Enrollment } from './store.ts'

/**
 * UDID and EnrollmentID name devices in two spaces of their own: the same text in the other one is another device. Its row
 * is marked by a colon in front, which no id of a device can have, if the plain id was taken by the other space before.
 */
type Space = 'udid' | 'enrollment_id'

const MARK = ':'

/** In which space a channel of this type has its id. */
export function spaceOf(type: Enrollment['type']): Space {
  return type.startsWith('user_enrollment') ? 'enrollment_id' : 'udid'
}

/** The ids that the row of a device may have, the plain one first. */
export function rowIds(deviceId: string): [plain: string, marked: string] {
  return [deviceId, MARK + deviceId]
}

/** Whether a row is that of the device with this id, in whatever case it is spelled, as far as the id tells. */
export function isRowOf(rowId: string, deviceId: string): boolean {
  const plain = rowId.startsWith(MARK) ? rowId.slice(MARK.length) : rowId
  return plain.toLowerCase() === deviceId.toLowerCase()
}

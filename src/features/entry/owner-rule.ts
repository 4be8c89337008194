/** By what an enrollment was made, or a device asks for one; null for one that came in otherwise. */
type Way = 'ade' | 'ade_web' | 'link' | 'page' | null

/** The enrollment that is there. */
export interface Owner {
  /** The kind of channel, of which one never takes the place of another. */
  type: string
  way: Way
  userId: string | null
  serialNumber: string | null
  /** From Authenticate to its end. */
  isLive: boolean
  /** It has acknowledged EraseDevice. */
  isErased: boolean
  /** Apple answered 410 Unregistered to a push that was sent since its last contact. */
  isUnregistered: boolean
  /** Until when an operator allows that another takes its place. */
  allowedUntil: Date | null
}

/** The device that says Authenticate with another certificate. */
export interface Claimant {
  type: string
  /** Its UDID or EnrollmentID. */
  deviceId: string
  way: Way
  userId: string | null
  /** What the MachineInfo said by which its attempt was let in. */
  machineInfo: { udid: string | null; serialNumber: string | null } | null
  /** An operator has sent it (a device that moves in from another server). */
  isSent?: boolean
}

/** Why an enrollment may be replaced. */
type Ground = 'not_live' | 'machine_info' | 'same_user' | 'no_user' | 'allowed' | 'erased' | 'unregistered'

/**
 * On what ground the claimant may take the place of the owner; undefined when it may not. It is the one rule of who may have an
 * enrollment: a live one is replaced by the device itself, shown by its MachineInfo; by the same person, where no automated
 * enrollment made it; with an operator's word; or when it is known to be gone.
 */
export function groundOf(owner: Owner, claimant: Claimant, now: Date): Ground | undefined {
  if (!owner.isLive) return 'not_live'
  if (isTheDevice(owner, claimant)) return 'machine_info'
  if (owner.type !== claimant.type) return undefined
  if (owner.isErased) return 'erased'
  if (owner.isUnregistered) return 'unregistered'
  if (!isAutomated(owner.way)) {
    if (owner.userId !== null && owner.userId === claimant.userId) return 'same_user'
    if (owner.userId === null && claimant.userId === null && claimant.way === 'link') return 'no_user'
  }
  const isAllowed = owner.allowedUntil !== null && now < owner.allowedUntil
  return isAllowed || claimant.isSent ? 'allowed' : undefined
}

function isTheDevice(owner: Owner, { way, machineInfo, deviceId }: Claimant): boolean {
  return (
    isAutomated(way) &&
    machineInfo !== null &&
    isSame(machineInfo.udid, deviceId) &&
    (owner.serialNumber === null || isSame(machineInfo.serialNumber, owner.serialNumber))
  )
}

/** Whether it came by automated enrollment. */
export function isAutomated(way: Way): boolean {
  return way === 'ade' || way === 'ade_web'
}

function isSame(a: string | null, b: string): boolean {
  return a?.toLowerCase() === b.toLowerCase()
}

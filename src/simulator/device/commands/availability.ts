import { wordSet } from '../../../kernel/words.ts'
import { notNow, refused, type Answer } from './answers.ts'
import { isMac, majorVersion, type DeviceSelf } from './self.ts'

/** Commands that OS 27 does not know any more. */
const REMOVED_27 = wordSet('AvailableOSUpdates OSUpdateStatus ScheduleOSUpdate ScheduleOSUpdateScan')

const MAC_ONLY = wordSet('InstallEnterpriseApplication ScheduleOSUpdateScan')
const NOT_ON_MACS = wordSet(`
  ClearPasscode ClearRestrictionsPassword DeviceLocation DisableLostMode EnableLostMode ManagedApplicationAttributes
  PlayLostModeSound Restrictions UserConfigured ValidateApplications
`)

const SUPERVISED_PHONES = wordSet(`
  ActivationLockBypassCode AvailableOSUpdates ClearActivationLockBypassCode ClearRestrictionsPassword DeviceLocation
  DisableLostMode EnableLostMode OSUpdateStatus PlayLostModeSound RestartDevice ScheduleOSUpdate ShutDownDevice
`)
const SUPERVISED_MACS = wordSet(
  'ActivationLockBypassCode AvailableOSUpdates ClearActivationLockBypassCode ScheduleOSUpdate',
)

/** What a lost device still does; DeviceLock tells by its result that it does nothing. */
const IN_LOST_MODE = wordSet(`
  DeviceInformation DeviceLocation DeviceLock DisableLostMode EnableLostMode EraseDevice PlayLostModeSound RestartDevice
  ShutDownDevice
`)

/** What a phone never answers NotNow to, locked or not (Apple's protocol reference), and what is there for lost ones. */
const ALWAYS = wordSet(`
  CertificateList ClearPasscode DeviceInformation DeviceLocation DeviceLock DisableLostMode EnableLostMode EraseDevice
  InstalledApplicationList PlayLostModeSound ProfileList ProvisioningProfileList Restrictions RestartDevice ShutDownDevice
`)

const APP_COMMANDS = wordSet('InstallApplication RemoveApplication ValidateApplications')
const IN_SETUP_SINCE = 16

/** Not on user enrollments. */
const NOT_PERSONAL = wordSet(`
  ActivationLockBypassCode ClearActivationLockBypassCode ClearPasscode DeviceConfigured DeviceLocation DisableLostMode
  EnableLostMode EraseDevice PlayLostModeSound RestartDevice Restrictions ShutDownDevice
`)

/** The bit of AccessRights that a command needs. */
const RIGHTS: Readonly<Record<string, number>> = {
  CertificateList: 1,
  ProfileList: 1,
  InstallProfile: 2,
  RemoveProfile: 2,
  ClearPasscode: 4,
  DeviceLock: 4,
  RestartDevice: 4,
  ShutDownDevice: 4,
  EraseDevice: 8,
  ProvisioningProfileList: 64,
  InstalledApplicationList: 256,
  Restrictions: 512,
  SecurityInfo: 1024,
  Settings: 2048,
  InstallApplication: 4096,
  InstallEnterpriseApplication: 4096,
  ManagedApplicationAttributes: 4096,
  ManagedApplicationConfiguration: 4096,
  ManagedApplicationFeedback: 4096,
  ManagedApplicationList: 4096,
  RemoveApplication: 4096,
  ValidateApplications: 4096,
}

/** Why a device as it is now does not do a command of that type at all; undefined when it may. */
export function unavailable(requestType: string, self: DeviceSelf): Answer | undefined {
  if (!isKnown(requestType, self)) return refused(12021, `“${requestType}” is not a valid request type.`)
  const { condition, facts, accessRights, isPersonal } = self
  const right = RIGHTS[requestType] ?? 0
  if (!isPersonal && (accessRights & right) !== right) {
    return refused(12007, `The server is not authorized for “${requestType}”.`)
  }
  if (isPersonal && NOT_PERSONAL.has(requestType)) {
    return refused(12021, `“${requestType}” is not a valid request type on a user enrollment.`)
  }
  const needsSupervision = isMac(self) ? SUPERVISED_MACS : SUPERVISED_PHONES
  if (!facts.supervised && needsSupervision.has(requestType)) {
    return refused(12021, `“${requestType}” is not a valid request type, as the device is not supervised.`)
  }
  if (condition.lostMode !== undefined && !IN_LOST_MODE.has(requestType)) {
    return refused(12078, `“${requestType}” is not a valid request type in MDM Lost Mode.`)
  }
  return isHeldBack(requestType, self) ? notNow : undefined
}

function isKnown(requestType: string, self: DeviceSelf): boolean {
  if (majorVersion(self) >= 27 && REMOVED_27.has(requestType)) return false
  return isMac(self) ? !NOT_ON_MACS.has(requestType) : !MAC_ONLY.has(requestType)
}

function isHeldBack(requestType: string, self: DeviceSelf): boolean {
  const { condition, awaitingConfiguration } = self
  if (condition.lockedSinceStart && !ALWAYS.has(requestType)) return true
  const isEarly = !isMac(self) && majorVersion(self) < IN_SETUP_SINCE
  return isEarly && awaitingConfiguration && APP_COMMANDS.has(requestType)
}

import { wordSet } from '../../../kernel/words.ts'

/** Which of a device's two queues a message belongs to. */
export type ChannelKind = 'device' | 'user'

/** Commands that only ever concern the whole device (Apple's schema: no user channel anywhere). */
const DEVICE_ONLY = wordSet(`
  AccountConfiguration ActivationLockBypassCode AvailableOSUpdates ClearActivationLockBypassCode
  ClearPasscode ClearRestrictionsPassword DeleteUser DeviceConfigured DeviceLocation DeviceLock
  DisableLostMode EnableLostMode EraseDevice LogOutUser OSUpdateStatus PlayLostModeSound
  RefreshCellularPlans RestartDevice ScheduleOSUpdate ShutDownDevice UserList
`)

/** Commands that only a user's queue may hold. */
const USER_ONLY: ReadonlySet<string> = new Set(['InviteToProgram', 'NSExtensionMappings', 'UserConfigured'])

/** Whether a command of that type may be sent to that channel. */
export function fitsChannel(requestType: string, channel: ChannelKind): boolean {
  return channel === 'device' ? !USER_ONLY.has(requestType) : !DEVICE_ONLY.has(requestType)
}

import type { Key, SupportedOn } from './types.ts'

/**
 * What Apple's YAML does not mark or does not have yet. Source: CHANGES.md of github.com/apple/device-management at OS 27,
 * and the schema of OS 18.2 to 26 for the keys that were added to files which are of 18.1.
 */

const UPDATES = 'the declaration com.apple.configuration.softwareupdate.enforcement.specific'
const UPDATE_SETTINGS = 'the declaration com.apple.configuration.softwareupdate.settings'
const UPDATE_STATUS = 'the status items softwareupdate.* of declarative management'

/** By path (request type, then keys): what takes the place of a thing that was removed. */
const SUCCESSORS: Readonly<Record<string, string>> = {
  AvailableOSUpdates: UPDATE_STATUS,
  OSUpdateStatus: UPDATE_STATUS,
  ScheduleOSUpdate: UPDATES,
  ScheduleOSUpdateScan: UPDATES,
  'DeviceInformation/Queries/OSUpdateSettings': UPDATE_STATUS,
  'DeviceInformation/Queries/SoftwareUpdateDeviceID': 'the status item softwareupdate.device-id',
  'DeviceInformation/Queries/SoftwareUpdateSettings': UPDATE_SETTINGS,
  'Settings/Settings/SoftwareUpdateSettings': UPDATE_SETTINGS,
}

/** What takes the place of a thing, by its path. */
export function successorOf(path: string): string | undefined {
  return Object.hasOwn(SUCCESSORS, path) ? SUCCESSORS[path] : undefined
}

/** The same paths: in which version of which systems it was removed, where the YAML has no word of it. */
export const REMOVALS: Readonly<Record<string, SupportedOn>> = {
  'DeviceInformation/Queries/OSUpdateSettings': {
    macOS: { deprecated: '26.0', removed: '27.0' },
  },
  'DeviceInformation/Queries/SoftwareUpdateDeviceID': {
    iOS: { deprecated: '26.0', removed: '27.0' },
    macOS: { deprecated: '26.0', removed: '27.0' },
    tvOS: { deprecated: '26.0', removed: '27.0' },
  },
  'DeviceInformation/Queries/SoftwareUpdateSettings': {
    iOS: { deprecated: '26.0', removed: '27.0' },
  },
  'Settings/Settings/SoftwareUpdateSettings': {
    iOS: { deprecated: '26.0', removed: '27.0' },
  },
}

const NOT_ELSEWHERE = { macOS: null, tvOS: null, watchOS: null } as const

/** Keys that are newer than the YAML, by the path of the dictionary or array which they are in. */
export const ADDITIONS: Readonly<Record<string, readonly Key[]>> = {
  'Settings/Settings': [
    {
      key: 'DefaultApplications',
      type: 'dictionary',
      on: {
        iOS: {
          introduced: '18.2',
          user_enrollment: 'forbidden',
          shared_ipad: { device_channel: false, user_channel: true },
        },
        visionOS: { introduced: '2.2', user_enrollment: 'forbidden' },
        ...NOT_ELSEWHERE,
      },
      keys: [
        { key: 'Item', type: 'string', required: true, values: ['DefaultApplications'] },
        { key: 'WebBrowser', type: 'string' },
        { key: 'Calling', type: 'string', on: { iOS: { introduced: '26.0' }, visionOS: null } },
        { key: 'Messaging', type: 'string', on: { iOS: { introduced: '26.0' }, visionOS: null } },
      ],
    },
  ],
  'Settings/Settings/MDMOptions/MDMOptions': [
    {
      key: 'IdleRebootAllowed',
      type: 'boolean',
      on: { iOS: { introduced: '18.4' }, macOS: null, tvOS: null, visionOS: null, watchOS: null },
    },
  ],
}

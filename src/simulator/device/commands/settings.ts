import { wordSet } from '../../../kernel/words.ts'
import { isDict, type PlistDict, type PlistValue } from '../../../protocol/plist/index.ts'
import type { ErrorLink } from '../../device-fault.ts'
import { acknowledged, chainOf, malformed, type Answer } from './answers.ts'
import { isMac, majorVersion, type DeviceSelf } from './self.ts'

/** Items that a device keeps as they are, for who asks later. */
const KEPT = wordSet(`
  AccessibilitySettings AppAnalytics Bluetooth DataRoaming DiagnosticSubmission HostName MDMOptions OrganizationInfo
  PasscodeLockGracePeriod PersonalHotspot SoftwareUpdateSettings TimeZone VoiceRoaming Wallpaper
`)
const SUPERVISED = wordSet(
  'AccessibilitySettings Bluetooth DeviceName SoftwareUpdateSettings TimeZone Wallpaper',
)
const SHARED_ONLY = wordSet('AppAnalytics DiagnosticSubmission PasscodeLockGracePeriod')
const ON_MACS = wordSet('ApplicationConfiguration Bluetooth DeviceName HostName MDMOptions OrganizationInfo')
const ON_USER_ENROLLMENTS = wordSet(
  'ApplicationAttributes ApplicationConfiguration MDMOptions OrganizationInfo',
)
const ENABLED = wordSet(
  'AppAnalytics Bluetooth DataRoaming DiagnosticSubmission PersonalHotspot VoiceRoaming',
)

/** The Settings command: each item by itself. https://developer.apple.com/documentation/devicemanagement/settings-command */
export function applySettings(command: PlistDict, self: DeviceSelf): Answer {
  const settings = command['Settings']
  if (!Array.isArray(settings) || !settings.every(isDict)) return malformed
  return acknowledged({ Settings: settings.map((setting) => applySetting(setting, self)) })
}

function applySetting(setting: PlistDict, self: DeviceSelf): PlistDict {
  const item = setting['Item']
  const identifier = setting['Identifier']
  const fault = typeof item === 'string' ? faultOf(item, self) : unknownItem('')
  const problem = fault ?? change(item as string, setting, self)
  return {
    Status: problem === undefined ? 'Acknowledged' : 'Error',
    ...(problem === undefined ? {} : { ErrorChain: chainOf([problem]) }),
    ...(typeof identifier === 'string' ? { Identifier: identifier } : {}),
  }
}

function unknownItem(item: string): ErrorLink {
  return { domain: 'MCSettingsErrorDomain', code: 28000, description: `The setting “${item}” is not known.` }
}

/** Why this device has no such setting. */
function faultOf(item: string, self: DeviceSelf): ErrorLink | undefined {
  const { facts, sharedUsers, isPersonal } = self
  const isGone = item === 'SoftwareUpdateSettings' && majorVersion(self) >= 27
  const isElsewhere = isMac(self) ? !ON_MACS.has(item) : item === 'HostName'
  if (isGone || isElsewhere) return unknownItem(item)
  if (SHARED_ONLY.has(item) && !sharedUsers) return unknownItem(item)
  if (isPersonal && !ON_USER_ENROLLMENTS.has(item)) return unknownItem(item)
  if (!SUPERVISED.has(item) || facts.supervised || isMac(self)) return undefined
  return { domain: 'MCChaperoneErrorDomain', code: 29000, description: 'The device is not supervised.' }
}

function change(item: string, setting: PlistDict, self: DeviceSelf): ErrorLink | undefined {
  if (item === 'DeviceName') return rename(setting['DeviceName'], self)
  if (item === 'ApplicationConfiguration') return changeApp(setting, 'Configuration', self)
  if (item === 'ApplicationAttributes') return changeApp(setting, 'Attributes', self)
  if (!KEPT.has(item)) return unknownItem(item)
  if (ENABLED.has(item) && typeof setting['Enabled'] !== 'boolean') return missing(item, 'Enabled')
  if (item === 'TimeZone' && typeof setting['TimeZone'] !== 'string') return missing(item, 'TimeZone')
  if (item === 'MDMOptions' && !isDict(setting['MDMOptions'])) return missing(item, 'MDMOptions')
  self.condition.settings ??= new Map()
  self.condition.settings.set(item, setting)
  return undefined
}

function missing(item: string, key: string): ErrorLink {
  return {
    domain: 'MCMDMErrorDomain',
    code: 12008,
    description: `${item}: ${key} is missing or of another type.`,
  }
}

function rename(name: PlistValue | undefined, { facts }: DeviceSelf): ErrorLink | undefined {
  if (typeof name !== 'string' || name === '') return missing('DeviceName', 'DeviceName')
  facts.deviceName = name
  return undefined
}

/** Without a dictionary what was set is taken away. */
function changeApp(
  setting: PlistDict,
  key: 'Configuration' | 'Attributes',
  { holding }: DeviceSelf,
): ErrorLink | undefined {
  const { Identifier: identifier, [key]: value } = setting
  if (typeof identifier !== 'string') return missing(`Application${key}`, 'Identifier')
  if (value !== undefined && !isDict(value)) return missing(`Application${key}`, key)
  const app = holding.apps.get(identifier)
  if (app?.managed !== true) {
    return { domain: 'MCMDMErrorDomain', code: 12029, description: `The app “${identifier}” is not managed.` }
  }
  if (key === 'Configuration') app.configuration = value
  else app.attributes = value
  return undefined
}

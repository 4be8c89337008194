import { isDeepStrictEqual } from 'node:util'
import { compareVersions } from '../../../protocol/ade/index.ts'
import type { PlistDict, PlistValue } from '../../../protocol/plist/index.ts'
import { fillConfiguration, type Unfilled } from './configuration.ts'
import type { AppFacts, VariableValues } from './types.ts'

/** ManagementFlags of InstallApplication. */
const REMOVE_WITH_ENROLLMENT = 1
const PREVENT_BACKUP = 4
/** Options.PurchaseMethod: by a licence that is assigned to the device. */
const BY_LICENCE = 1
/** Where Macs know managed apps, and where other things began. */
const MACS_MANAGE_APPS = '11'
const MACS_TAKE_CONFIGURATIONS = '10.15'
const TAKES_OVER = '9'
/** Where hosted packages, which are IPAs, cannot go. */
const MAC = 'macos'

/** What decides about commands for a device. */
export interface AppDevice {
  /** `ios`, `ipados`, `macos`, `tvos`, `visionos`, `watchos`; null where it is not known, which is taken for iOS. */
  platform: string | null
  os_version: string | null
  /** The kind of its enrollment, as `enrollments.type` has it. */
  type: string
}

/** A command for a device, or why there is none. */
type AppCommand =
  | { ok: true; requestType: string; command: PlistDict }
  | Unfilled
  | {
      ok: false
      /**
       * `os_version`: older than `min_os_version` asks; `platform`: no app for such devices; `enrollment_type`: not by a licence
       * of the device on a user enrollment; `package_missing`: neither manifest nor package; `identifier_unknown`.
       */
      reason: 'os_version' | 'platform' | 'enrollment_type' | 'package_missing' | 'identifier_unknown'
      detail: string
    }

/** The command that installs a revision, or brings it up to date. */
export function installCommand(facts: AppFacts, values: VariableValues, device: AppDevice): AppCommand {
  const refusal = refusalOf(facts, device)
  if (refusal !== undefined) return refusal
  const filled = fillConfiguration(facts, values)
  if (!filled.ok) return filled
  const isMac = device.platform === MAC
  const managed =
    isMac && !isFrom(device, MACS_MANAGE_APPS) ? {} : managementOf(facts, filled.configuration, device)
  if (facts.kind === 'enterprise') {
    const command = { ManifestURL: facts.manifest_url ?? '', ...managed }
    return {
      ok: true,
      requestType: isMac ? 'InstallEnterpriseApplication' : 'InstallApplication',
      command: dictOf(command),
    }
  }
  const purchase = facts.options.device_licence ? { Options: dictOf({ PurchaseMethod: BY_LICENCE }) } : {}
  const command = { iTunesStoreID: facts.itunes_store_id ?? 0, ...purchase, ...managed }
  return { ok: true, requestType: 'InstallApplication', command: dictOf(command) }
}

/**
 * The smallest command that makes of an installed revision another one, or of a rendering another one: an install where another
 * app, version or other management flags are wanted; a new configuration (Settings, item ApplicationConfiguration) where only
 * that is. Null where nothing that is sent differs. A device answers Settings item by item.
 */
export function changeCommand(
  before: AppFacts,
  after: AppFacts,
  values: VariableValues,
  device: AppDevice,
): AppCommand | null {
  if (isAnotherInstall(before, after, device)) return installCommand(after, values, device)
  const isSame = isDeepStrictEqual(before.options.configuration, after.options.configuration)
  if (isSame && after.variables.length === 0) return null
  const isTaken = device.platform !== MAC || isFrom(device, MACS_TAKE_CONFIGURATIONS)
  if (!isTaken) return null
  if (after.identifier === null) return installCommand(after, values, device)
  const filled = fillConfiguration(after, values)
  if (!filled.ok) return filled
  const item = dictOf({
    Item: 'ApplicationConfiguration',
    Identifier: after.identifier,
    // Without one the device forgets the one it has.
    ...(Object.keys(filled.configuration).length > 0 && { Configuration: filled.configuration }),
  })
  return { ok: true, requestType: 'Settings', command: dictOf({ Settings: [item] }) }
}

/** The command that removes an app. Only a managed one goes. */
export function removeCommand({ identifier }: Pick<AppFacts, 'identifier'>): AppCommand {
  if (identifier === null) {
    return {
      ok: false,
      reason: 'identifier_unknown',
      detail: 'Nobody has told the bundle identifier of the app.',
    }
  }
  return { ok: true, requestType: 'RemoveApplication', command: dictOf({ Identifier: identifier }) }
}

function refusalOf(facts: AppFacts, device: AppDevice): (AppCommand & { ok: false }) | undefined {
  const { kind, manifest_url, hosted, min_os_version: least, options } = facts
  if (kind === 'enterprise' && manifest_url === null) {
    return { ok: false, reason: 'package_missing', detail: 'The app has neither a manifest nor a package.' }
  }
  if (hosted !== null && device.platform === MAC) {
    return { ok: false, reason: 'platform', detail: 'Macs do not install IPAs that a server hosts.' }
  }
  if (least !== null && device.os_version !== null && compareVersions(device.os_version, least) < 0) {
    return { ok: false, reason: 'os_version', detail: `The app needs ${least}.` }
  }
  if (kind === 'store' && options.device_licence && isOfUser(device)) {
    const detail = 'A licence of the device cannot be used on a user enrollment.'
    return { ok: false, reason: 'enrollment_type', detail }
  }
  return undefined
}

/** The keys that make a managed app what its options say. */
function managementOf(
  { kind, options }: AppFacts,
  configuration: PlistDict,
  device: AppDevice,
): Record<string, PlistValue> {
  const isMac = device.platform === MAC
  const isUser = isOfUser(device)
  const flags = flagsOf({ kind, options }, device)
  const isConfigured = Object.keys(configuration).length > 0
  const takesOver = options.take_over && !isUser && (isMac || isFrom(device, TAKES_OVER))
  const isManagedMac = isMac && !isUser && (flags > 0 || takesOver || isConfigured)
  return {
    ...(flags > 0 && { ManagementFlags: flags }),
    ...(isConfigured && { Configuration: configuration }),
    ...(takesOver && { ChangeManagementState: 'Managed' }),
    ...(isManagedMac && { InstallAsManaged: true }),
  }
}

function flagsOf({ kind, options }: Pick<AppFacts, 'kind' | 'options'>, device: AppDevice): number {
  const isMac = device.platform === MAC
  // Apple forbids the flags on user enrollments of Macs, and knows no backup of a Mac's enterprise app.
  if (isMac && isOfUser(device)) return 0
  const canPrevent = !isMac || kind === 'store'
  return (
    (options.remove_with_enrollment ? REMOVE_WITH_ENROLLMENT : 0) +
    (options.prevent_backup && canPrevent ? PREVENT_BACKUP : 0)
  )
}

function isAnotherInstall(before: AppFacts, after: AppFacts, device: AppDevice): boolean {
  return (
    before.kind !== after.kind ||
    before.itunes_store_id !== after.itunes_store_id ||
    before.manifest_url !== after.manifest_url ||
    flagsOf(before, device) !== flagsOf(after, device)
  )
}

function isOfUser({ type }: AppDevice): boolean {
  return type.startsWith('user_enrollment')
}

/** Whether the device has this OS or a later one; one that has not told it is taken to have. */
function isFrom({ os_version: version }: AppDevice, least: string): boolean {
  return version === null || compareVersions(version, least) >= 0
}

function dictOf(members: Record<string, PlistValue>): PlistDict {
  return Object.assign({ __proto__: null } as unknown as PlistDict, members)
}

import { compareVersions, isOsVersion } from '../../ade/index.ts'
import type { PlistDict } from '../../plist/index.ts'
import { findCommandType } from './catalogue.ts'
import { successorOf } from './changes.ts'
import { checkCommand } from './check.ts'
import type { Part, Support, System } from './types.ts'

/** Why a command does not suit a device. */
export type UnsuitedReason =
  'os_version' | 'supervision' | 'channel' | 'enrollment_type' | 'platform' | 'retired'

/** What of a device decides which commands suit it; null = it has not told. */
export interface SuitedDevice {
  type: 'device' | 'user' | 'shared_ipad_user' | 'user_enrollment_device' | 'user_enrollment_user'
  product_name: string | null
  os_version: string | null
  supervised: boolean | null
  way: 'ade' | 'ade_web' | 'link' | 'page' | null
  /** Whether it is erased, or its enrollment is over. */
  is_over: boolean
}

/** How a command suits a device: well, if there is no reason. */
interface Suiting {
  reasons: UnsuitedReason[]
  /** The reasons as sentences. */
  details: string[]
  /** What is deprecated, and what the device will leave out. */
  warnings: string[]
}

const OVER = 'This enrollment is over: the device was erased, or has left.'

/**
 * How a command of this type with these parts (see `checkCommand`) suits a device. What is not known of a device is no reason, nor
 * is a type that Apple's schema does not have.
 */
export function suits(device: SuitedDevice, requestType: string, parts: readonly Part[]): Suiting {
  const suiting: Suiting = { reasons: [], details: [], warnings: [] }
  if (device.is_over) add(suiting, OVER, 'retired')
  const system = systemOf(device.product_name)
  const type = findCommandType(requestType)
  if (system === undefined || type === undefined) return suiting
  const instead = successorOf(requestType)
  const whole = { pointer: '', name: requestType, on: type.on, isNeeded: true }
  judge(suiting, device, system, instead === undefined ? whole : { ...whole, instead })
  for (const part of parts) judge(suiting, device, system, part)
  return suiting
}

/** The same for a command that nobody has looked at yet. */
export function unsuitedReasons(device: SuitedDevice, requestType: string, command?: PlistDict): Suiting {
  const parts = command === undefined ? [] : checkCommand(requestType, command).parts
  return suits(device, requestType, parts)
}

/** Whether a device may turn out later to be unsuited for a part of a command. */
export function mayUnsuit(part: Part): boolean {
  return part.isNeeded || Object.values(part.on).some((support) => support?.removed !== undefined)
}

/** The system of a device by its product name (`iPhone15,2`); undefined for a name of none that is known. */
export function systemOf(productName: string | null): System | undefined {
  const [, family] = /^([A-Za-z]+)\d/.exec(productName ?? '') ?? []
  return family === undefined ? undefined : FAMILIES[family]
}

const FAMILIES: Readonly<Record<string, System>> = {
  iPhone: 'iOS',
  iPad: 'iOS',
  iPod: 'iOS',
  AppleTV: 'tvOS',
  RealityDevice: 'visionOS',
  Watch: 'watchOS',
  Mac: 'macOS',
  MacBookPro: 'macOS',
  MacBookAir: 'macOS',
  MacBook: 'macOS',
  Macmini: 'macOS',
  MacPro: 'macOS',
  iMac: 'macOS',
  iMacPro: 'macOS',
  VirtualMac: 'macOS',
}

function judge(suiting: Suiting, device: SuitedDevice, system: System, part: Part): void {
  const support = part.on[system]
  if (support === undefined) return
  const { name, isNeeded } = part
  const refuse = (detail: string, reason: UnsuitedReason) => {
    if (isNeeded) add(suiting, detail, reason)
    else suiting.warnings.push(`${detail} It is left out.`)
  }
  if (support === null) return refuse(`${sentence(name)} does not exist on ${system}.`, 'platform')
  judgeVersion(suiting, device, { system, support, part, refuse })
  if (support.supervised === true && device.supervised === false)
    refuse(`${sentence(name)} needs a supervised device.`, 'supervision')
  if (support.automated === true && (device.way === 'link' || device.way === 'page'))
    refuse(`${sentence(name)} needs a device that came by automated enrollment.`, 'enrollment_type')
  judgeChannel(device, { system, support, name, refuse })
}

interface Question {
  system: System
  support: Support
  refuse: (detail: string, reason: UnsuitedReason) => void
}

function judgeVersion(suiting: Suiting, device: SuitedDevice, question: Question & { part: Part }): void {
  const { system, support, part, refuse } = question
  const { introduced, deprecated, removed } = support
  const { os_version: version } = device
  if (version === null || !isOsVersion(version)) return
  const has = (since: string) => compareVersions(version, since) >= 0
  const instead = part.instead === undefined ? '' : ` Use ${part.instead} instead.`
  // What is removed is refused also where a device would leave it out: whoever asks would wait for it in vain.
  if (removed !== undefined && has(removed))
    add(
      suiting,
      `${sentence(part.name)} was removed in ${system} ${removed}.${instead}`,
      'os_version',
      'retired',
    )
  else if (introduced !== undefined && !has(introduced))
    refuse(`${sentence(part.name)} needs ${system} ${introduced} or later.`, 'os_version')
  else if (deprecated !== undefined && has(deprecated))
    suiting.warnings.push(`${sentence(part.name)} is deprecated since ${system} ${deprecated}.${instead}`)
}

function judgeChannel(device: SuitedDevice, question: Question & { name: string }): void {
  const { system, support, name, refuse } = question
  const { type } = device
  const isUserEnrollment = type === 'user_enrollment_device' || type === 'user_enrollment_user'
  if (isUserEnrollment && support.user_enrollment === 'forbidden')
    refuse(`${sentence(name)} is not allowed on a user enrollment.`, 'enrollment_type')
  if (!isUserEnrollment && support.user_enrollment === 'required')
    refuse(`${sentence(name)} needs a user enrollment.`, 'enrollment_type')
  const isShared = sharedness(device)
  const { mode, user_channel } = support.shared_ipad ?? {}
  if (isShared === true && mode === 'forbidden')
    refuse(`${sentence(name)} is not allowed on a Shared iPad.`, 'enrollment_type')
  if (isShared === false && mode === 'required' && system === 'iOS')
    refuse(`${sentence(name)} needs a Shared iPad.`, 'enrollment_type')
  const isUser = type === 'user' || type === 'user_enrollment_user'
  if ((isUser && support.user_channel === false) || (type === 'shared_ipad_user' && user_channel === false))
    refuse(`${sentence(name)} goes to the device channel.`, 'channel')
  if (system === 'macOS' && !isUser && support.device_channel === false)
    refuse(`${sentence(name)} goes to a user channel.`, 'channel')
}

/** Whether a device is a Shared iPad; undefined for an iPad that may be one. */
function sharedness({ type, product_name }: SuitedDevice): boolean | undefined {
  if (type === 'shared_ipad_user') return true
  return product_name?.startsWith('iPad') ? undefined : false
}

function add(suiting: Suiting, detail: string, ...reasons: UnsuitedReason[]): void {
  suiting.details.push(detail)
  for (const reason of reasons) if (!suiting.reasons.includes(reason)) suiting.reasons.push(reason)
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

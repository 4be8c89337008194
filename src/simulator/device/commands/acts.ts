import { isDict, type PlistDict, type PlistValue } from '../../../protocol/plist/index.ts'
import { acknowledged, malformed, refused, type Answer } from './answers.ts'
import type { Erasure } from './condition.ts'
import { isMac, type DeviceSelf } from './self.ts'

type Handler = (command: PlistDict, self: DeviceSelf) => Answer

const PIN = /^\d{6}$/

/** Commands that do something to the device as a whole. */
export const ACT_COMMANDS: Readonly<Record<string, Handler>> = {
  DeviceLock: lock,
  ClearPasscode: clearPasscode,
  EraseDevice: erase,
  RestartDevice: () => acknowledged(),
  ShutDownDevice: () => acknowledged(),
  DeviceConfigured: (_, { awaitingConfiguration }) =>
    awaitingConfiguration ? acknowledged() : refused(12021, 'The device is not awaiting its configuration.'),
  UserConfigured: () => acknowledged(),
  DeclarativeManagement: () => acknowledged(),
  ClearActivationLockBypassCode: (_, { condition }) => {
    condition.bypassCodeUntil = 0
    return acknowledged()
  },
  EnableLostMode: enableLostMode,
  DisableLostMode: (_, { condition }) => {
    if (condition.lostMode === undefined) return notLost()
    condition.lostMode = undefined
    return acknowledged()
  },
  DeviceLocation: locate,
  PlayLostModeSound: (_, { condition }) => {
    if (condition.lostMode === undefined) return notLost()
    condition.sounds += 1
    return acknowledged()
  },
}

function notLost(): Answer {
  return refused(12067, 'The device is not in MDM Lost Mode.')
}

/** A text, or undefined; `false` for anything else. */
function textOr(value: PlistValue | undefined): string | undefined | false {
  return value === undefined || typeof value === 'string' ? value : false
}

function lock(command: PlistDict, self: DeviceSelf): Answer {
  const [message, phoneNumber, pin] = ['Message', 'PhoneNumber', 'PIN'].map((key) => textOr(command[key]))
  if (message === false || phoneNumber === false || pin === false) return malformed
  if (isMac(self) && (pin === undefined || !PIN.test(pin))) {
    return refused(12008, 'A Mac needs a PIN of six digits.')
  }
  const { condition } = self
  if (condition.lostMode !== undefined) return acknowledged({ MessageResult: 'DeviceInLostMode' })
  condition.lock = {
    ...(message === undefined ? {} : { message }),
    ...(phoneNumber === undefined ? {} : { phoneNumber }),
    ...(isMac(self) && pin !== undefined ? { pin } : {}),
  }
  if (message === undefined && phoneNumber === undefined) return acknowledged()
  return acknowledged({ MessageResult: condition.passcode || isMac(self) ? 'Success' : 'NoPasscodeSet' })
}

function clearPasscode(command: PlistDict, { condition }: DeviceSelf): Answer {
  const token = command['UnlockToken']
  if (!(token instanceof Uint8Array)) return malformed
  if (!condition.unlockTokens.some((known) => Buffer.from(known).equals(token))) {
    const chain = 'The unlock token is not the one that the device gave.'
    return refused(12017, chain)
  }
  condition.passcode = false
  return acknowledged()
}

function erase(command: PlistDict, self: DeviceSelf): Answer {
  const { PIN: pin, ReturnToService: service } = command
  if (pin !== undefined && (typeof pin !== 'string' || (isMac(self) && !PIN.test(pin)))) return malformed
  if (service !== undefined && (!isDict(service) || typeof service['Enabled'] !== 'boolean')) return malformed
  self.condition.erasure = {
    preserveDataPlan: command['PreserveDataPlan'] === true,
    disallowProximitySetup: command['DisallowProximitySetup'] === true,
    returnToService: isDict(service) && service['Enabled'] === true ? readService(service) : undefined,
  }
  return acknowledged()
}

function readService(service: PlistDict): NonNullable<Erasure['returnToService']> {
  const { WiFiProfileData: wifiProfile, MDMProfileData: mdmProfile, BootstrapToken: bootstrapToken } = service
  return {
    ...(wifiProfile instanceof Uint8Array ? { wifiProfile } : {}),
    ...(mdmProfile instanceof Uint8Array ? { mdmProfile } : {}),
    ...(bootstrapToken instanceof Uint8Array ? { bootstrapToken } : {}),
  }
}

function enableLostMode(command: PlistDict, { condition }: DeviceSelf): Answer {
  const keys = ['Message', 'PhoneNumber', 'Footnote']
  const [message, phoneNumber, footnote] = keys.map((key) => textOr(command[key]))
  if (message === false || phoneNumber === false || footnote === false) return malformed
  if (message === undefined && phoneNumber === undefined) {
    return refused(12066, 'MDM Lost Mode needs a message or a phone number.')
  }
  condition.lostMode = {
    ...(message === undefined ? {} : { message }),
    ...(phoneNumber === undefined ? {} : { phoneNumber }),
    ...(footnote === undefined ? {} : { footnote }),
  }
  return acknowledged()
}

function locate(_: PlistDict, { condition, now }: DeviceSelf): Answer {
  if (condition.lostMode === undefined) return notLost()
  const { latitude, longitude, accuracy } = condition.location
  return acknowledged({
    Latitude: latitude,
    Longitude: longitude,
    HorizontalAccuracy: accuracy,
    VerticalAccuracy: -1,
    Altitude: -1,
    Speed: -1,
    Course: -1,
    Timestamp: now.toISOString(),
  })
}

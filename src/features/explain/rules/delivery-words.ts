import { at } from '../words.ts'

/** What the reasons of deliveries mean, and what is to be done. */
const DELIVERIES: Readonly<Record<string, readonly [text: string, todo: string]>> = {
  not_now: ['the device is locked or busy', 'Nothing: it is asked again by itself'],
  lost_mode: ['the device is in lost mode', 'It goes on by itself when lost mode is ended'],
  os_version: ['its system is older than the app needs', 'Update the device; it then goes on by itself'],
  app_missing: [
    'it locks the device to an app that is not there yet',
    'Nothing: it goes on by itself when that app is installed; look how the app stands',
  ],
  no_user_channel: [
    'the Mac has no user channel yet',
    'It goes on by itself when somebody who is managed has logged in on the Mac',
  ],
  waits_for_person: [
    'the device asks its person for consent, an account or a code',
    'Ask the person to answer on the device; it then goes on by itself',
  ],
  fact_unknown: [
    'a group may exclude it, and the device has not told yet what that depends on',
    'Nothing: it goes on by itself when the device has told it; refresh its inventory to speed that up',
  ],
  rollout: [
    'its rollout has not come to this device yet',
    'Nothing: it goes out by itself when the rollout comes to this device; advance the rollout to have it sooner',
  ],
  change_stopped: [
    'somebody stopped the change that brings it',
    'Nothing goes on by itself: write the contents of the group again, or retry the deliveries',
  ],
  error: [
    'the device answered with an error',
    'Mend what the error names, and store a new revision or retry it',
  ],
  format_error: ['the device could not read the command', 'Correct it, and store a new revision'],
  device_busy: ['the device is asking its person something else', 'Nothing: that passes by itself'],
  not_supported: ['the device does not know the command', 'Take it out of the groups of this device'],
  not_on_device: [
    'the device acknowledged it, and does not list it',
    'Look on the device whether somebody removes it, and retry it',
  ],
  install_failed: [
    'the device could not install the app',
    'Look whether the device has room and network, and retry it',
  ],
  user_rejected: [
    'its person has declined it',
    'Ask the person to accept it, and retry it: it does not go out again by itself',
  ],
  user_installed: [
    'its person has installed the app by themselves',
    'Let the app take over (take_over), or have the person delete theirs',
  ],
  variable_missing: [
    'a variable in it has no value and no fallback',
    'Give the person, the device or the secret that value; it then goes out by itself',
  ],
  variable_invalid: [
    'a value in it cannot be put into a profile',
    'Correct the value; it then goes out by itself',
  ],
  package_missing: [
    'the app has neither a package nor a manifest',
    'Upload its package; it then goes out by itself',
  ],
  identifier_unknown: [
    'the bundle identifier of the app is not known',
    'Upload its package, or tell its identifier',
  ],
  platform: ['it is not for this platform', 'Take it out of the groups of this device'],
  enrollment_type: ['it is not for this way of enrolling', 'Take it out of the groups of this device'],
  cancelled: ['an operator has cancelled its command', 'Retry it if it is still wanted'],
}

/** Why a delivery waits or has failed. */
export function textOfDelivery(reason: string | null): string {
  return DELIVERIES[reason ?? '']?.[0] ?? reason ?? 'no reason is known'
}

/** What to do about it, without an end. */
export function todoOfDelivery(reason: string | null): string {
  return DELIVERIES[reason ?? '']?.[1] ?? 'Retry it'
}

/** When it is tried again by itself, as the end of a sentence. */
export function nextTryOf(time: Date | null): string {
  return time === null ? '' : `; it is tried again by itself at ${at(time)}`
}

import type { Words } from './words.ts'

const WRONG = 'The user name or the password is wrong.'

/** English. */
export const en: Words = {
  signIn: {
    heading: 'Sign in to enroll this device',
    intro: 'Use the account of your organization. Then this device is set up and managed for your work.',
    userName: 'User name',
    password: 'Password',
    submit: 'Sign in',
    or: 'or',
    with: (provider) => `Sign in with ${provider}`,
  },
  newPassword: {
    heading: 'Choose a new password',
    expired: (name) => `The password of ${name} has expired. The new one needs 12 characters or more.`,
    mustChange: (name) =>
      `The password of ${name} must be changed before it can be used. The new one needs 12 characters or more.`,
    first: 'New password',
    again: 'New password, again',
    submit: 'Change password and continue',
    unequal: 'The two new passwords are not the same.',
    refused: (detail) => detail,
  },
  ready: {
    heading: 'Your profile is ready',
    signedInAs: (name) => `Signed in as ${name}. Open this page on the device that you want to enroll.`,
    download: 'Download the profile',
    mobile: 'On iPhone and iPad',
    mobileSteps: [
      'Tap Download the profile, then Allow.',
      'Open Settings and tap Profile Downloaded at the top (or General, then VPN & Device Management).',
      'Tap Install, enter your passcode, and confirm with Install and Trust.',
    ],
    mac: 'On a Mac',
    macSteps: [
      'Open the downloaded file.',
      'In System Settings, go to General, then Device Management, and open the profile.',
      'Click Enroll and enter the password of your Mac.',
    ],
    hurry:
      'The profile is for one device and must be installed within 15 minutes. If that was too late, download it again.',
  },
  refused: {
    heading: 'This device cannot be enrolled',
    text: 'Your organization has not admitted this device. Please ask your administrator.',
  },
  update: {
    heading: 'Please update first',
    text: (version) =>
      `This device needs version ${version} of its operating system, or a later one. Update it, then start again.`,
  },
  limit: {
    heading: 'You have too many devices',
    text: (count, limit) =>
      `You have ${count} of ${limit} devices. Retire one that you do not need any more, then start again.`,
  },
  startAgain: {
    heading: 'Please start again',
    text: 'This page has expired or was opened in another browser. Go back to the first step of the setup of this device, or open the enrollment page again.',
  },
  notHere: {
    heading: 'This page is for new devices',
    text: 'This address is for the setup of new devices. To enroll a device of your own, open the enrollment page.',
  },
  openPage: 'Open the enrollment page',
  forAdministrator: 'For your administrator:',
  help: 'Help:',
  problems: {
    sign_in_required: 'You were not signed in. Please try again.',
    invalid_credentials: WRONG,
    user_unknown: WRONG,
    user_disabled: 'This account may not be used here. Please ask your administrator.',
    password_expired: 'Your password has expired. Change it where you usually do, then sign in again.',
    password_change_required: 'Your password must be changed first. Change it where you usually do.',
    mfa_required:
      'Your organization asks for a second factor, which cannot be given here. Please ask your administrator.',
    directory_unavailable: 'Signing in is not possible at the moment. Please try again later.',
    other: 'You were not signed in. Please ask your administrator.',
  },
  wait: (minutes) =>
    `Too many sign-ins have failed. Please wait ${minutes === 1 ? 'a minute' : `${minutes} minutes`} and try again.`,
}

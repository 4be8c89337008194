import { wordSet } from '../../../kernel/words.ts'
import type { Ends, PayloadKey } from './types.ts'

/**
 * What Apple's YAML does not mark or does not have yet. Source: CHANGES.md of github.com/apple/device-management at OS 27,
 * and the schema of OS 18.2 to 26 for keys that were added to files which are of 18.1.
 */

const UPDATES = 'the declaration com.apple.configuration.softwareupdate.settings'
const APPS = 'the declaration com.apple.configuration.app.settings'

/** What ended, and what takes its place. */
interface Change {
  on: Ends
  instead?: string
}

const removed = (version: string, systems: string, instead?: string): Change => ({
  on: Object.fromEntries(systems.split(' ').map((system) => [system, { removed: version }])),
  ...(instead !== undefined && { instead }),
})

const deprecated = (version: string, systems: string, instead?: string): Change => ({
  on: Object.fromEntries(systems.split(' ').map((system) => [system, { deprecated: version }])),
  ...(instead !== undefined && { instead }),
})

const DELAYS = `
  enforcedSoftwareUpdateDelay enforcedSoftwareUpdateMajorOSDeferredInstallDelay
  enforcedSoftwareUpdateMinorOSDeferredInstallDelay enforcedSoftwareUpdateNonOSDeferredInstallDelay
  forceDelayedAppSoftwareUpdates forceDelayedMajorSoftwareUpdates forceDelayedSoftwareUpdates
  allowRapidSecurityResponseInstallation allowRapidSecurityResponseRemoval`

/** By path: the type of the payload, then keys. */
const CHANGES: Readonly<Record<string, Change>> = {
  'com.apple.SoftwareUpdate': removed('27.0', 'macOS', UPDATES),
  'com.apple.system.logging/Processes': removed('27.0', 'macOS'),
  ...Object.fromEntries(
    [...wordSet(DELAYS)].map((key) => [
      `com.apple.applicationaccess/${key}`,
      removed('27.0', 'iOS macOS tvOS', UPDATES),
    ]),
  ),
  'com.apple.AssetCache.managed': deprecated(
    '27.0',
    'macOS',
    'the declaration com.apple.configuration.content-cache.settings',
  ),
  'com.apple.applicationaccess.new': deprecated('27.0', 'macOS', APPS),
  'com.apple.dnsProxy.managed': deprecated(
    '27.0',
    'iOS macOS visionOS',
    'the declaration com.apple.configuration.network.dns-proxy',
  ),
  'com.apple.dnsSettings.managed': deprecated(
    '27.0',
    'iOS macOS visionOS',
    'the declaration com.apple.configuration.network.dns-settings',
  ),
  'com.apple.mobiledevice.passwordpolicy': deprecated(
    '27.0',
    'iOS macOS visionOS watchOS',
    'the declaration com.apple.configuration.passcode.settings',
  ),
  'com.apple.relay.managed': deprecated(
    '27.0',
    'iOS macOS tvOS visionOS',
    'the declaration com.apple.configuration.network.relay',
  ),
  'com.apple.applicationaccess/allowListedAppBundleIDs': deprecated('27.0', 'iOS tvOS visionOS', APPS),
  'com.apple.applicationaccess/blockedAppBundleIDs': deprecated('27.0', 'iOS tvOS visionOS', APPS),
  'com.apple.applicationaccess/allowSiriAI': deprecated(
    '27.0',
    'iOS macOS',
    'the declaration com.apple.configuration.siri.settings',
  ),
  ...Object.fromEntries(
    ['Accessibility', 'BluetoothAlways', 'Camera', 'Microphone', 'SpeechRecognition'].map((service) => [
      `com.apple.TCC.configuration-profile-policy/Services/${service}`,
      deprecated('27.0', 'macOS', 'the declaration com.apple.configuration.app.settings'),
    ]),
  ),
}

const flags = (names: string): PayloadKey[] => [...wordSet(names)].map((key) => ({ key, type: 'boolean' }))

/** Keys that are newer than the YAML, by the path of the dictionary which they are in. */
const ADDITIONS: Readonly<Record<string, readonly PayloadKey[]>> = {
  'com.apple.applicationaccess': [
    ...flags(`
      allowAppleIntelligenceReport allowDefaultCallingAppModification allowDefaultMessagingAppModification
      allowExternalIntelligenceIntegrations allowExternalIntelligenceIntegrationsSignIn allowGenmoji allowImagePlayground
      allowImageWand allowMailSmartReplies allowMailSummary allowNotesTranscription allowNotesTranscriptionSummary
      allowPersonalizedHandwritingResults allowSafariHistoryClearing allowSafariPrivateBrowsing allowSafariSummary
      allowSiriAI allowVisualIntelligenceSummary allowWritingTools`),
    { key: 'allowedExternalIntelligenceWorkspaceIDs', type: 'array' },
  ],
  'com.apple.extensiblesso/PlatformSSO': [
    ...flags('AllowWebLoginPasswordSync AlwaysUseLoginUI'),
    { key: 'WebLoginURLAllowList', type: 'array' },
    { key: 'AdditionalHTTPHeaders', type: 'any' },
  ],
  'com.apple.loginwindow': flags(
    'ForceCaptivePortalConnectionFromLockScreen ForceWifiConfigurationOnLockScreen',
  ),
}

/** What became of a thing, by its path. */
export function changeOf(path: string): Change | undefined {
  return Object.hasOwn(CHANGES, path) ? CHANGES[path] : undefined
}

/** The keys that a dictionary has beyond those of the YAML. */
export function additionsTo(path: string): readonly PayloadKey[] {
  return (Object.hasOwn(ADDITIONS, path) ? ADDITIONS[path] : undefined) ?? []
}

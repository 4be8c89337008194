import { parsePlist, type PlistValue } from '../../protocol/plist/index.ts'
import { payloadsOf, presentProfiles } from './profiles/installed.ts'
import type { DeviceState } from './state.ts'

/** What is on a device at the moment, for who wants to compare. */
export function viewOf(state: DeviceState) {
  const { condition, facts, holding, own, users, awaiting } = state
  const now = state.now()
  return {
    /** Those of the device first, then those of its users, whose channel has its keys. */
    profiles: [own, ...users].flatMap((channel) =>
      presentProfiles(channel.profiles, now).map((profile) => ({
        identifier: profile.stored.identifier,
        uuid: profile.stored.uuid,
        displayName: profile.stored.displayName,
        managed: profile.managed,
        scope: profile.stored.scope,
        user: channel === own ? undefined : channel.ids,
        isSigned: profile.stored.signed,
        payloads: payloadsOf(profile),
        /** The whole property list. */
        get content(): PlistValue {
          return parsePlist(profile.stored.content)
        },
      })),
    ),
    /** Apps that MDM or the person brought. */
    apps: [...holding.apps.values()].map((app) => ({
      identifier: app.identifier,
      name: app.name,
      status: app.status,
      managed: app.managed,
      /** Undefined: not on the device. */
      version: app.present?.version,
      /** SHA-256 of its package, hex. */
      sha256: app.present?.sha256,
      flags: app.flags,
      configuration: app.configuration,
      attributes: app.attributes,
      licence: app.licence,
      problem: app.problem,
    })),
    deviceName: facts.deviceName,
    awaiting,
    passcode: condition.passcode,
    lock: condition.lock,
    lostMode: condition.lostMode,
    sounds: condition.sounds,
    /** What the Settings command set, by item. */
    settings: Object.fromEntries(condition.settings ?? []),
    /** What the EraseDevice brought that ended the life before. */
    erasure: condition.erasure,
  }
}

import { accept, decline, isAsking, isComing, type App, type AppVersion } from './apps/app.ts'
import { blank } from './apps/installing.ts'
import type { Location } from './commands/condition.ts'
import { readConfiguration } from './profiles/configuration.ts'
import { keepProfile, presentProfiles } from './profiles/installed.ts'
import { endEnrollment, type DeviceState } from './state.ts'

/** An app as a person installs it. */
interface OwnApp {
  identifier: string
  name?: string
  version?: string
}

/** What the person who holds a device can do with it, without the server hearing of it. */
export function personActs(state: DeviceState) {
  const { facts, own, holding } = state
  const { apps } = holding

  function answer(identifier: string | undefined, say: (app: App) => void): number {
    const asking = [...apps.values()].filter(
      (app) => isAsking(app) && (identifier === undefined || app.identifier === identifier),
    )
    for (const app of asking) say(app)
    return asking.length
  }

  return {
    /** False when there is none, or it may not be removed. Without the profile that enrolled it the device is not managed. */
    removeProfile(identifier: string): boolean {
      const found = presentProfiles(own.profiles, state.now()).find(
        ({ stored }) => stored.identifier === identifier,
      )
      if (found === undefined || found.stored.removalDisallowed) return false
      const isEnrollment = identifier === state.enrollment?.profile.configuration.identifier
      if (isEnrollment && state.status === 'enrolled') endEnrollment(state, 'removed')
      return own.profiles.delete(identifier) || isEnrollment
    },
    /** Refuses what is wrong with it. */
    installProfile(bytes: Uint8Array): void {
      const now = state.now()
      keepProfile(own.profiles, readConfiguration(bytes, now), { managed: false, now })
    },
    /** From the App Store, also what MDM has on its way, or had installed before. */
    installApp({ identifier, name = identifier, version = '1.0' }: OwnApp): void {
      const app = apps.get(identifier) ?? blank(identifier, name)
      const present: AppVersion = { version, shortVersion: version, storeVersion: 1, size: 10_000_000 }
      if (isAsking(app) || isComing(app)) app.status = 'UserInstalledApp'
      else if (app.status === 'ManagedButUninstalled') app.status = 'Managed'
      Object.assign(app, { present, coming: undefined })
      apps.set(identifier, app)
    },
    /** False when there is none, or it may not be removed. */
    deleteApp(identifier: string): boolean {
      const app = apps.get(identifier)
      if (app?.present === undefined || (app.managed && app.attributes?.['Removable'] === false)) return false
      if (app.managed)
        Object.assign(app, { present: undefined, coming: undefined, status: 'ManagedButUninstalled' })
      else apps.delete(identifier)
      return true
    },
    /** Says yes to what the device asks about that app, or about all; how many questions there were. */
    accept: (identifier?: string) => answer(identifier, accept),
    /** Says no. */
    decline: (identifier?: string) => answer(identifier, decline),
    rename: (name: string) => void (facts.deviceName = name),
    updateOs(osVersion: string, buildVersion = facts.buildVersion): void {
      Object.assign(facts, { osVersion, buildVersion })
    },
    /** After a start: from now on the device does everything. */
    unlock: () => void (state.condition.lockedSinceStart = false),
    /** Turns it off and on; it is locked then. */
    restart: () => void (state.condition.lockedSinceStart = true),
    setPasscode: (isSet: boolean) => void (state.condition.passcode = isSet),
    turnOnActivationLock: () => void (state.condition.activationLock = true),
    goTo: (location: Location) => void (state.condition.location = location),
  }
}

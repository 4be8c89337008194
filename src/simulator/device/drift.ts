import type { Random } from '../random.ts'
import { personActs } from './person-acts.ts'
import { presentProfiles } from './profiles/installed.ts'
import type { DeviceState } from './state.ts'

/** Something goes that MDM brought: a profile or an app, by chance; nothing when there is none. */
export function driftOnce(state: DeviceState, random: Random): void {
  const person = personActs(state)
  const profiles = presentProfiles(state.own.profiles, state.now()).filter(({ managed }) => managed)
  const apps = [...state.holding.apps.values()].filter(({ status }) => status === 'Managed')
  const acts = [
    ...profiles.map(
      ({ stored }) =>
        () =>
          person.removeProfile(stored.identifier),
    ),
    ...apps.map(
      ({ identifier }) =>
        () =>
          person.deleteApp(identifier),
    ),
  ]
  if (acts.length > 0) acts[random.integer(0, acts.length - 1)]?.()
}

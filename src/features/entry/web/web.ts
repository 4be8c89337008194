import type { EntryDeps } from '../power-on/deps.ts'
import type { Entrance } from '../power-on/entrance.ts'
import { createProfileEnd } from './profile.ts'
import { createSignInSteps } from './sign-in.ts'
import { createBeginnings } from './start.ts'
import { createTravel } from './travel.ts'

/** The way in by web pages. */
export type Web = ReturnType<typeof createWeb>

/** Makes it: beginnings, the steps of signing in, and the end with the profile. */
export function createWeb(deps: EntryDeps, entrance: Entrance) {
  const travel = createTravel(deps)
  const steps = createSignInSteps(deps, travel)
  const ends = createProfileEnd(deps, travel)
  const beginnings = createBeginnings(deps, { entrance, travel, steps, ends })
  const { show, submit, changePassword, startOidc, finishOidc } = steps
  return {
    ...beginnings,
    submit,
    changePassword,
    startOidc,
    finishOidc,
    fetch: ends.fetch,
    show: show.bind(steps),
  }
}

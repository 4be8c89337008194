import type { EntryDeps } from '../power-on/deps.ts'
import type { Entrance } from '../power-on/entrance.ts'
import { createOidcSteps } from './oidc.ts'
import { createOutcomes } from './outcomes.ts'
import { createProfileEnd } from './profile.ts'
import { createSignInSteps } from './sign-in.ts'
import { createBeginnings } from './start.ts'
import { createTravel } from './travel.ts'

/** The way in by web pages. */
export type Web = ReturnType<typeof createWeb>

/** What browsers may ask: beginnings, the steps of signing in, and the end with the profile. */
export function createWeb(deps: EntryDeps, entrance: Entrance) {
  const travel = createTravel(deps)
  const outcomes = createOutcomes(deps, travel)
  const { toProvider, ...oidc } = createOidcSteps(deps, travel, outcomes)
  const { begin, ...steps } = createSignInSteps(deps, travel, outcomes, { toProvider })
  const { profileFor, fetch } = createProfileEnd(deps, travel)
  return { ...createBeginnings(deps, { entrance, travel, begin, profileFor }), ...steps, ...oidc, fetch }
}

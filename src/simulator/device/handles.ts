import { scriptOutcomes, type AppOutcome } from './apps/holding.ts'
import type { Mood } from './commands/mood.ts'
import type { Loss } from './session.ts'
import { endEnrollment, type DeviceState } from './state.ts'
import { viewOf } from './view.ts'

/** How tests look into a device, and make it behave oddly. */
export function createHandles(state: DeviceState, mood: Mood) {
  return {
    status: () => state.status,
    /** It stays in Setup Assistant. */
    awaiting: () => state.awaiting,
    /** What is on it. */
    view: () => viewOf(state),
    /** How the next such commands end: by type, or by type and what it is about (see MoodOptions). */
    script: mood.script,
    /** How the next installations of that app end. */
    scriptApp: (identifier: string, ...outcomes: AppOutcome[]) =>
      scriptOutcomes(state.holding, identifier, outcomes),
    /** The connection is cut before or after the next result, of a command of that type if one is given. */
    lose: (when: Loss, requestType?: string) => void state.losses.push({ when, requestType }),
    /** The owner takes the profile away without network: nothing is sent. */
    forget: () => endEnrollment(state, 'removed'),
    /** All content and settings: nothing is sent. */
    erase: () => endEnrollment(state, 'erased'),
  }
}

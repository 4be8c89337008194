import type { Events } from '../events/index.ts'

/** Tells of a guess at an enrollment address and counts it against the network; throws when it has guessed too often. */
export function refuseGuess(
  events: Pick<Events, 'announce'>,
  request: { id: string; noteFailure(): void },
  way: 'ade' | 'ade_web' | 'link',
): void {
  const event = { type: 'enrollment.rejected', request_id: request.id, data: { way } } as const
  try {
    request.noteFailure()
  } catch (error) {
    events.announce({ ...event, reason: 'too_many_failures' })
    throw error
  }
  events.announce({ ...event, reason: 'unknown_key' })
}

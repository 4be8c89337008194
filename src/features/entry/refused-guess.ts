import type { Strangers } from '../attempts/index.ts'

/** Tells of a guess at an enrollment address and counts it against the network; throws when it has guessed too often. */
export function refuseGuess(
  strangers: Pick<Strangers, 'note'>,
  request: { id: string; ip: string; noteFailure(): void },
  way: 'ade' | 'ade_web' | 'link',
): void {
  const stranger = { address: request.ip, way, request_id: request.id }
  try {
    request.noteFailure()
  } catch (error) {
    strangers.note({ ...stranger, reason: 'too_many_failures' })
    throw error
  }
  strangers.note({ ...stranger, reason: 'unknown_key' })
}

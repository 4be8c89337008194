import { AppError } from '../../kernel/errors.ts'
import type { Strangers } from '../attempts/index.ts'

/**
 * Tells of a guess at an enrollment address and counts it against the network. Throws AppError `not_found`, and what `noteFailure`
 * throws when the network has guessed too often.
 */
export function refuseGuess(
  strangers: Pick<Strangers, 'note'>,
  request: { id: string; ip: string; noteFailure(): void },
  way: 'ade' | 'ade_web' | 'link',
): never {
  const stranger = { address: request.ip, way, request_id: request.id }
  try {
    request.noteFailure()
  } catch (error) {
    strangers.note({ ...stranger, reason: 'too_many_failures' })
    throw error
  }
  strangers.note({ ...stranger, reason: 'unknown_key' })
  throw new AppError('not_found', `There is no such enrollment ${way === 'link' ? 'link' : 'address'}.`)
}

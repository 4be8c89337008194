import { AppError } from '../../kernel/errors.ts'
import { isDict, parsePlist, salvagePlist, type SalvagedDict } from '../plist/index.ts'

/** The keys of a message; null is what is there and cannot be read, which is not the same as what is not there. */
export type MessageDict = SalvagedDict

/**
 * Reads the dictionary of a message. Where a property list cannot be read as a whole, what can be read of it is given, with
 * the refusal that it would otherwise have met. Throws `plist_invalid`, or `message_invalid` for what is no dictionary.
 */
export function openMessage(bytes: Uint8Array): { raw: MessageDict; refusal?: AppError } {
  try {
    const raw = parsePlist(bytes)
    if (!isDict(raw)) throw new AppError('message_invalid', 'The message is not a dictionary')
    return { raw }
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'plist_invalid') throw error
    const raw = salvagePlist(bytes)
    if (raw === undefined) throw error
    return { raw, refusal: error }
  }
}

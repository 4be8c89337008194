import { AppError } from '../../kernel/errors.ts'
import { isDict, parsePlist } from '../plist/index.ts'
import { unpackBytes } from './pack.ts'

/** An answer to InstallApplication has some hundred bytes. */
const MOST_BYTES = 64 * 1024
const LONGEST = 255

/**
 * The bundle identifier in an answer to InstallApplication (Apple: install-application response, `Identifier`), kept as `packBytes`
 * made it; undefined where it tells none.
 */
export function readAppIdentifier(packed: Uint8Array): string | undefined {
  try {
    const answer = parsePlist(unpackBytes(packed, MOST_BYTES))
    const identifier = isDict(answer) ? answer['Identifier'] : undefined
    const isOne = typeof identifier === 'string' && identifier !== '' && identifier.length <= LONGEST
    return isOne && !identifier.includes('\0') ? identifier : undefined
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}

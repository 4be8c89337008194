import { AppError } from '../../kernel/errors.ts'
import { CHANNEL_NAMES } from '../../protocol/mdm/index.ts'
import type { Enrollment } from '../devices/index.ts'

const TYPES = Object.keys(CHANNEL_NAMES) as Enrollment['type'][]

/** Our types by NanoMDM's names; unknown names are refused. */
export function typesOf(names: readonly string[]): Enrollment['type'][] {
  return names.map((name) => {
    const type = TYPES.find((each) => CHANNEL_NAMES[each] === name)
    if (type === undefined) throw new AppError('invalid_request', `There is no enrollment type ${name}.`)
    return type
  })
}

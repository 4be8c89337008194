import { AppError } from '../../kernel/errors.ts'
import type { Enrollment } from '../devices/index.ts'

/** NanoMDM's names of the kinds of enrollment. */
const TYPES = {
  Device: 'device',
  User: 'user',
  'User Enrollment (Device)': 'user_enrollment_device',
  'User Enrollment': 'user_enrollment_user',
  'Shared iPad': 'shared_ipad_user',
} as const satisfies Record<string, Enrollment['type']>

/** Our types by NanoMDM's names; unknown names are refused. */
export function typesOf(names: readonly string[]): Enrollment['type'][] {
  return names.map((name) => {
    if (!Object.hasOwn(TYPES, name))
      throw new AppError('invalid_request', `There is no enrollment type ${name}.`)
    return TYPES[name as keyof typeof TYPES]
  })
}

/** NanoMDM's name of one of our types. */
export function typeName(type: Enrollment['type']): string {
  return Object.entries(TYPES).find(([, ours]) => ours === type)?.[0] ?? 'Device'
}

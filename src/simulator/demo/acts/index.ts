import type { Act } from '../world/stage.ts'
import { deviceActs } from './devices.ts'
import { profileActs } from './profiles.ts'
import { signInActs } from './sign-in.ts'

/** All acts in their order: by phone, those with profiles last, as time passes there. */
export const ACTS: readonly Act[] = [
  ...[...deviceActs, ...signInActs].toSorted((one, other) => one.phone - other.phone),
  ...profileActs,
]

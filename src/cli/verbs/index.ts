import type { Verb } from '../verb.ts'
import { administrationVerbs } from './administration.ts'
import { commandVerbs } from './commands.ts'
import { deviceVerbs } from './devices.ts'
import { enrollmentVerbs } from './enrollment.ts'
import { eventVerbs } from './events.ts'
import { migrate, serve, simulate } from './programs.ts'
import { pushCertificateVerbs } from './push-certificates.ts'

export { followEvents } from './events.ts'
export { migrate, serve, simulate } from './programs.ts'

/** Every verb, in the order of the help. */
export const VERBS: readonly Verb[] = [
  serve,
  migrate,
  simulate,
  ...deviceVerbs,
  ...commandVerbs,
  ...enrollmentVerbs,
  ...pushCertificateVerbs,
  ...administrationVerbs,
  ...eventVerbs,
]

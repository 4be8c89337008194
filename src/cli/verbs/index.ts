import type { Verb } from '../verb.ts'
import { adeVerbs } from './ade.ts'
import { administrationVerbs } from './administration.ts'
import { commandVerbs } from './commands.ts'
import { deviceVerbs } from './devices.ts'
import { enrollmentVerbs } from './enrollment.ts'
import { eventVerbs } from './events.ts'
import { groupVerbs } from './groups.ts'
import { policyVerbs } from './policies.ts'
import { migrate, serve, simulate, status } from './programs.ts'
import { pushCertificateVerbs } from './push-certificates.ts'
import { signInVerbs } from './sign-in.ts'

export { followEvents } from './events.ts'
export { migrate, serve, simulate, status } from './programs.ts'

/** Every verb, in the order of the help. */
export const VERBS: readonly Verb[] = [
  serve,
  migrate,
  simulate,
  status,
  ...deviceVerbs,
  ...commandVerbs,
  ...enrollmentVerbs,
  ...policyVerbs,
  ...groupVerbs,
  ...adeVerbs,
  ...pushCertificateVerbs,
  ...signInVerbs,
  ...administrationVerbs,
  ...eventVerbs,
]

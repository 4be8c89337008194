import type { Verb } from '../verb.ts'
import { actVerbs } from './acts.ts'
import { adeVerbs } from './ade.ts'
import { administrationVerbs } from './administration.ts'
import { appVerbs } from './apps.ts'
import { auditVerbs } from './audit.ts'
import { commandVerbs } from './commands.ts'
import { deliveryVerbs } from './deliveries.ts'
import { deviceVerbs } from './devices.ts'
import { enrollmentVerbs } from './enrollment.ts'
import { eventVerbs } from './events.ts'
import { explain } from './explain.ts'
import { governorVerbs } from './governor.ts'
import { groupVerbs } from './groups.ts'
import { policyVerbs } from './policies.ts'
import { profileVerbs } from './profiles.ts'
import { completion, login, logout, migrate, migrateFrom, serve, simulate, status } from './programs.ts'
import { pushCertificateVerbs } from './push-certificates.ts'
import { rolloutVerbs } from './rollouts.ts'
import { signInVerbs } from './sign-in.ts'
import { webhookVerbs } from './webhooks.ts'

export { exportAudit } from './audit.ts'
export { followEvents } from './events.ts'
export { completion, login, logout, migrate, migrateFrom, serve, simulate, status } from './programs.ts'

/** Every verb, in the order of the help. */
export const VERBS: readonly Verb[] = [
  serve,
  migrate,
  migrateFrom,
  simulate,
  login,
  logout,
  completion,
  status,
  explain,
  ...deviceVerbs,
  ...actVerbs,
  ...commandVerbs,
  ...enrollmentVerbs,
  ...policyVerbs,
  ...governorVerbs,
  ...groupVerbs,
  ...profileVerbs,
  ...appVerbs,
  ...rolloutVerbs,
  ...deliveryVerbs,
  ...adeVerbs,
  ...pushCertificateVerbs,
  ...signInVerbs,
  ...administrationVerbs,
  ...eventVerbs,
  ...auditVerbs,
  ...webhookVerbs,
]

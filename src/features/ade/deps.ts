import type { Db } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { HttpClient } from '../../kernel/http-client.ts'
import type { Log } from '../../kernel/log.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import type { Devices } from '../devices/index.ts'
import type { EnrollmentPolicies } from '../enrollment-policies/index.ts'
import type { Events } from '../events/index.ts'
import type { Governor } from '../governor/index.ts'

/** What the slice is made of. */
export interface AdeDeps {
  db: Db
  clock: Clock
  log: Log
  metrics: Metrics
  events: Pick<Events, 'emit'>
  governor: Pick<Governor, 'ask' | 'carriesOut' | 'approvals'>
  secretBox: SecretBox
  policies: Pick<EnrollmentPolicies, 'find' | 'holdForAde'>
  devices: Pick<Devices, 'enrolledOtherwise'>
  /** The way to Apple. Its own limit of time must let a page take the 10 minutes of a sync. */
  http: HttpClient
  /** Apple's web service. */
  service: { url: string }
  /** Where devices reach us, without a final slash. */
  publicUrl: string
  /** Says whose the devices are (`org_magic`). */
  instanceId: string
}

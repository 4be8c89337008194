import type { Db } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import type { Ade } from '../ade/index.ts'
import type { Attempts } from '../attempts/index.ts'
import type { Commands } from '../commands/index.ts'
import type { DeviceIdentity } from '../device-identity/index.ts'
import type { Devices } from '../devices/index.ts'
import type { EnrollmentPolicies } from '../enrollment-policies/index.ts'
import type { Events } from '../events/index.ts'
import type { Governor } from '../governor/index.ts'
import type { Groups } from '../groups/index.ts'
import type { Inventory } from '../inventory/index.ts'
import type { Push } from '../push/index.ts'
import type { Profiles } from '../rollout/index.ts'
import type { Users } from '../users/index.ts'
import type { Links } from '../entry/index.ts'

/** The parts that a device's way in and out touches. */
export interface EnrollmentDeps {
  db: Db
  clock: Clock
  metrics: Metrics
  secretBox: SecretBox
  events: Events
  governor: Pick<Governor, 'ask' | 'carriesOut' | 'approvals'>
  users: Users
  attempts: Attempts
  devices: Devices
  push: Push
  commands: Commands
  identity: DeviceIdentity
  inventory: Pick<Inventory, 'ask' | 'managingProfile' | 'refresh'>
  profiles: Pick<Profiles, 'get' | 'render'>
  links: Links
  policies: Pick<EnrollmentPolicies, 'find'>
  groups: Pick<Groups, 'addMember' | 'noteTold' | 'removeDevice'>
  ade: Pick<Ade, 'noteUnenrolled' | 'takeUnjudged'>
  publicUrl: string
  instanceId: string
}

/** What a message came with, besides what it says. */
export interface Sender {
  fingerprint: Buffer
  raw: Buffer
  /** SHA-256 of `raw`. */
  digest: Buffer
  requestId: string
}

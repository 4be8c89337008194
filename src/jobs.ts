import { maintainEmbedded, refreshStatistics, type Db } from './db/index.ts'
import type { Ade } from './features/ade/index.ts'
import type { Attempts, Strangers } from './features/attempts/index.ts'
import type { Commands } from './features/commands/index.ts'
import type { DeviceIdentity } from './features/device-identity/index.ts'
import type { Devices } from './features/devices/index.ts'
import type { EnrollmentPolicies } from './features/enrollment-policies/index.ts'
import type { Enrollment } from './features/enrollment/index.ts'
import type { Governor } from './features/governor/index.ts'
import type { Events, Outlets, Subscriptions } from './features/events/index.ts'
import type { Groups } from './features/groups/index.ts'
import type { Audit, IdempotencyKeys, Operators } from './features/operators/index.ts'
import type { Inventory } from './features/inventory/index.ts'
import type { Push } from './features/push/index.ts'
import type { Deliveries, Packages, Rollouts } from './features/rollout/index.ts'
import type { SetupRelease } from './features/setup-release/index.ts'
import type { SettingsDoor } from './features/settings/index.ts'
import type { Signin } from './features/signin/index.ts'
import type { Clock } from './kernel/clock.ts'
import type { Job } from './kernel/loops.ts'
import type { Reseal } from './reseal.ts'
import { deleteOld, makePartitions } from './retention.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** What the background loops work with. */
interface JobDeps extends Outlets {
  db: Db
  clock: Clock
  governor: Governor
  settings: SettingsDoor
  events: Events
  subscriptions: Subscriptions
  attempts: Attempts
  strangers: Strangers
  push: Push
  commands: Commands
  identity: DeviceIdentity
  enrollment: Enrollment
  inventory: Inventory
  setupRelease: SetupRelease
  deliveries: Deliveries
  rollouts: Rollouts
  devices: Devices
  policies: EnrollmentPolicies
  groups: Groups
  ade: Ade
  packages: Packages
  signin: Signin
  idempotencyKeys: IdempotencyKeys
  reseal: Reseal
  operators: Operators
  audit: Audit
}

/** Every background loop: its name, its interval and what it does. */
export function jobs(deps: JobDeps): Job[] {
  const { db, events, subscriptions, attempts, push, commands, identity, enrollment, ade, signin } = deps
  return [
    { name: 'publish_events', every: 500, run: events.publish },
    { name: 'follow_events', every: 500, run: subscriptions.run },
    { name: 'stream_events', every: 500, run: deps.eventStreams.run },
    { name: 'send_webhooks', every: 500, run: deps.webhookDelivery.run },
    { name: 'take_in_answers', every: SECOND, run: commands.answers.run },
    { name: 'put_devices_into_groups', every: SECOND, run: deps.groups.membership.run },
    { name: 'send_pushes', every: SECOND, run: push.run },
    { name: 'sync_with_apple', every: 2 * SECOND, run: ade.runSyncs },
    { name: 'reconcile_with_apple', every: 2 * SECOND, run: ade.reconcile },
    { name: 'deliver', every: SECOND, run: deps.deliveries.engine.run },
    { name: 'judge_rollouts', every: 5 * SECOND, run: deps.rollouts.run },
    { name: 'release_from_setup', every: 5 * SECOND, run: deps.setupRelease.run },
    { name: 'judge_assignments', every: 2 * SECOND, run: enrollment.judgeAssignments },
    { name: 'expire_commands', every: 5 * SECOND, run: commands.expire },
    { name: 'ask_for_inventory', every: 30 * SECOND, run: deps.inventory.askDue },
    { name: 'carry_out_approved', every: 2 * SECOND, run: deps.governor.approvals.carryOutDue },
    { name: 'sweep_approvals', every: 15 * SECOND, run: deps.governor.sweep },
    { name: 'push_again', every: 15 * SECOND, run: commands.pushAgain },
    { name: 'reseal', every: 10 * SECOND, run: deps.reseal.run },
    { name: 'seal_commands', every: HOUR, run: async () => void (await commands.sealPlain()) },
    { name: 'expire_attempts', every: 15 * SECOND, run: attempts.expire },
    { name: 'tell_of_strangers', every: 2 * SECOND, run: deps.strangers.tellDue },
    { name: 'abandon_half_enrolled', every: MINUTE, run: enrollment.abandonHalfEnrolled },
    { name: 'maintain_sign_in', every: MINUTE, run: signin.maintain },
    { name: 'number_audit_entries', every: SECOND, run: deps.audit.seal },
    { name: 'tell_refused_callers', every: 10 * MINUTE, run: deps.audit.tellCounts },
    { name: 'anchor_audit_trail', every: HOUR, run: deps.audit.anchor },
    { name: 'note_token_use', every: MINUTE, run: deps.operators.flushLastUsed },
    { name: 'warn_of_push_certificates', every: HOUR, run: push.sweepExpiry },
    { name: 'warn_of_server_tokens', every: HOUR, run: ade.sweepExpiry },
    { name: 'delete_old_challenges', every: HOUR, run: identity.deleteOldChallenges },
    { name: 'delete_idempotency_keys', every: HOUR, run: deps.idempotencyKeys.expire },
    { name: 'sweep_packages', every: HOUR, run: deps.packages.sweep },
    { name: 'retention', every: HOUR, run: () => deleteOld(deps) },
    { name: 'partitions', every: 6 * HOUR, run: () => makePartitions(db, deps.clock) },
    { name: 'refresh_statistics', every: 2 * SECOND, run: () => refreshStatistics(db) },
    { name: 'maintain_embedded', every: 2 * MINUTE, run: () => maintainEmbedded(db) },
  ]
}

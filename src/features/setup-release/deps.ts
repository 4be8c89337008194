import type { Db, Tx } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Attempts } from '../attempts/index.ts'
import type { Commands } from '../commands/index.ts'
import type { Devices } from '../devices/index.ts'
import type { EnrollmentPolicies } from '../enrollment-policies/index.ts'
import type { Events } from '../events/index.ts'
import type { Push } from '../push/index.ts'
import type { CriticalState } from './machine.ts'

/** What the groups of a device bring, as far as it may be held for it. */
export interface Contents {
  /** How the critical things of the present enrollment of a device stand. */
  criticalState(trx: Tx, enrollmentId: string): Promise<CriticalState>
  /** Has those that failed tried once more; gives how many those are. */
  retryCritical(trx: Tx, enrollmentId: string): Promise<number>
}

/** What letting phones out of Setup Assistant is made of. */
export interface ReleaseDeps {
  db: Db
  clock: Clock
  log: Log
  events: Pick<Events, 'emit'>
  attempts: Pick<Attempts, 'find' | 'step'>
  devices: Pick<Devices, 'lockEnrollment' | 'updateEnrollment'>
  push: Pick<Push, 'request'>
  commands: Pick<Commands, 'enqueue' | 'answerTo' | 'withPending'>
  policies: Pick<EnrollmentPolicies, 'find'>
  contents: Contents
}

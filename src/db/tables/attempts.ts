import type { ColumnType, Generated, Selectable } from 'kysely'

/** One try of one device to enrol. */
interface EnrollmentAttemptsTable {
  id: string
  way: 'ade' | 'ade_web' | 'link' | 'page'
  outcome: Generated<'in_progress' | 'enrolled' | 'rejected' | 'expired'>
  reason: string | null
  serial_number: string | null
  udid: string | null
  user_id: string | null
  user_name: string | null
  policy_id: string | null
  link_id: string | null
  enrollment_id: string | null
  deadline: Date
  closed_at: Date | null
  created_at: Date
  updated_at: Date
}

/** A contact or a decision of an attempt. */
interface EnrollmentAttemptStepsTable {
  attempt_id: string
  id: Generated<number>
  at: Date
  step: string
  outcome: 'passed' | 'refused'
  reason: string | null
  /** Of the person who signed in, or tried to. */
  user_name: string | null
  /** Of a contact at power-on: SHA-256 of what the device signed. */
  machine_info_hash: Buffer | null
  detail: ColumnType<Record<string, unknown>, string, never>
}

/** An attempt as it is kept. */
export type AttemptRow = Selectable<EnrollmentAttemptsTable>
/** A line of the timeline as it is kept. */
export type AttemptStepRow = Selectable<EnrollmentAttemptStepsTable>

export interface AttemptsTables {
  enrollment_attempts: EnrollmentAttemptsTable
  enrollment_attempt_steps: EnrollmentAttemptStepsTable
}

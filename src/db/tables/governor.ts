import type { ColumnType, Generated } from 'kysely'
import type { Actor } from '../../kernel/act.ts'

/** One row: the limits as they were set, and whether all is stopped. */
interface GovernorTable {
  only_row: Generated<boolean>
  settings: ColumnType<unknown, string, string>
  stopped: ColumnType<{ reason: string; by: Actor | null; at: string } | null, string | null, string | null>
  version: Generated<number>
  created_at: Generated<Date>
  updated_at: Generated<Date>
}

/** What was accepted: how many devices at once, for whom. */
interface GovernorUsesTable {
  act: string
  asker: string
  devices: number
  at: Date
}

/** What waits, or waited, for a second person. */
export interface ApprovalsTable {
  id: string
  act: string
  /** The role that its asker needed, and so whoever approves it. */
  role: 'operator' | 'admin'
  state: 'waiting' | 'approved' | 'rejected' | 'cancelled' | 'expired'
  /** Why it was cancelled, where that is not because somebody said so. */
  reason: string | null
  device_ids: string[]
  /** What each device was when it was asked for; empty for what is no device here. */
  marks: string[]
  /** Those that were not the same any more when it was carried out. */
  skipped_ids: Generated<string[]>
  /** Who carries it out, and with what, sealed. */
  deed: string
  params: Buffer
  asked_by: ColumnType<Actor, string, never>
  makers: string[]
  via: string
  decided_by: ColumnType<Actor | null, string | null, string | null>
  decided_at: Date | null
  expires_at: Date
  /** When it is carried out, if it can still be taken back until then. */
  due_at: Date | null
  done_at: Date | null
  created_at: Date
  updated_at: Date
}

export interface GovernorTables {
  governor: GovernorTable
  governor_uses: GovernorUsesTable
  approvals: ApprovalsTable
}

import type { ColumnType, Generated } from 'kysely'

/** What is to be done: one plist, for one or many enrollments. */
export interface CommandsTable {
  uuid: string
  request_type: string
  purpose: 'inventory' | 'unenroll' | null
  /** Sealed, where it may hold a secret. */
  body: Buffer
  /** It was written before bodies were sealed. */
  is_plain: Generated<boolean>
  priority: Generated<number>
  not_before: Date | null
  expires_at: Date | null
  target_ids: string[]
  created_by: string | null
  created_at: Date
}

/** A command's place in the queue of one enrollment, until it is finished. */
export interface PendingDeliveriesTable {
  enrollment_id: string
  command_uuid: string
  seq: Generated<number>
  priority: number
  state: Generated<'queued' | 'sent' | 'not_now'>
  not_before: Date | null
  expires_at: Date | null
  not_now_count: Generated<number>
  sent_at: Date | null
  push_at: Date
  push_count: Generated<number>
  /** How often it went out since the device said something of it. */
  sends: Generated<number>
  created_at: Date
}

/** A finished delivery; `result` is the device's message, deflated. */
export interface DeliveryHistoryTable {
  enrollment_id: string
  command_uuid: string
  state: 'acknowledged' | 'error' | 'format_error' | 'expired' | 'cancelled'
  error_chain: ColumnType<unknown, string | null, never>
  result: Buffer | null
  /** What of the result could not be read. */
  result_problem: string | null
  not_now_count: number
  created_at: Date
  sent_at: Date | null
  finished_at: Date
}

export interface CommandsTables {
  commands: CommandsTable
  pending_deliveries: PendingDeliveriesTable
  delivery_history: DeliveryHistoryTable
}

import type { ColumnType, Generated } from 'kysely'

/** What a command of our own means beyond itself. */
type CommandPurpose = 'inventory' | 'unenroll' | 'delivery' | 'act'

/** What is to be done: one plist, for one or many enrollments. */
export interface CommandsTable {
  uuid: string
  request_type: string
  purpose: CommandPurpose | null
  /** Sealed, where it may hold a secret. */
  body: Buffer
  /** It was written before bodies were sealed. */
  is_plain: Generated<boolean>
  priority: Generated<number>
  not_before: Date | null
  expires_at: Date | null
  target_ids: string[]
  /** Whoever asked wants it sent to devices that it does not suit, too. */
  forced: Generated<boolean>
  /** What of it a device may turn out to be unsuited for, as JSON (protocol/mdm/schema); null for nothing. */
  parts: ColumnType<unknown, string | null, never>
  created_by: string | null
  /** As which act it was counted, where it destroys something. */
  governed: string | null
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
  /** It went out once more before anything was heard of it: it may have been done, even if the device says NotNow later. */
  is_unheard: Generated<boolean>
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
  /** Why it was cancelled, where that is not because somebody said so. */
  reason: string | null
  not_now_count: number
  created_at: Date
  sent_at: Date | null
  finished_at: Date
}

/** The end of a command that somebody in the server waits for, until that is done with it. */
export interface CommandAnswersTable {
  seq: Generated<number>
  topic: 'delivery' | 'act' | 'inventory'
  enrollment_id: string
  command_uuid: string
  /** The kind of inventory that the answer has brought. */
  kind: string | null
  state: DeliveryHistoryTable['state']
  at: Date
  tries: Generated<number>
  retry_at: Date | null
}

export interface CommandsTables {
  command_answers: CommandAnswersTable
  commands: CommandsTable
  pending_deliveries: PendingDeliveriesTable
  delivery_history: DeliveryHistoryTable
}

import type { ColumnType, Generated } from 'kysely'
import type { Actor } from '../../kernel/act.ts'

interface EventColumns {
  type: string
  at: Date
  by: ColumnType<Actor | null, string | null, never>
  via: Generated<string | null>
  enrollment_id: string | null
  serial_number: string | null
  user_name: string | null
  reason: string | null
  attempt_id: string | null
  data: ColumnType<Record<string, unknown>, string, never>
}

/** Facts written by the transaction that made them, waiting for the publisher. */
interface EventOutboxTable extends EventColumns {
  seq: Generated<number>
}

/** Published facts; ids rise in commit order. */
interface EventsTable extends EventColumns {
  id: number
}

export interface EventsTables {
  event_outbox: EventOutboxTable
  events: EventsTable
}

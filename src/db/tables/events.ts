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

/** How far something inside the server has followed the published facts, and which process is at it. */
interface EventSubscriptionsTable {
  name: string
  cursor: number
  worker: string | null
  leased_until: Date | null
}

/** A fact that a subscription could not handle yet; with `stuck_at` it has given up. */
export interface EventFailuresTable {
  subscription: string
  event_id: number
  enrollment_id: string | null
  tries: number
  retry_at: Date
  error: string | null
  stuck_at: Date | null
}

export interface EventsTables {
  event_subscriptions: EventSubscriptionsTable
  event_failures: EventFailuresTable

  event_outbox: EventOutboxTable
  events: EventsTable
}

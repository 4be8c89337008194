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

/** Where events are sent. */
export interface WebhooksTable {
  id: string
  version: Generated<number>
  name: string
  url: string
  shape: 'firstboot' | 'nanomdm'
  /** Null = all. */
  types: string[] | null
  enabled: boolean
  /** Why the server has disabled it. */
  disabled_reason: 'gone' | null
  secret: Buffer
  previous_secret: Buffer | null
  previous_valid_until: Date | null
  /** All events up to this one were sent, or have a delivery. */
  cursor: number
  /** How often in a row it could not be reached at all; until `paused_until` it is left alone. */
  unreachable_tries: Generated<number>
  paused_until: Date | null
  worker: string | null
  worker_until: Date | null
  created_at: Date
  updated_at: Date
}

/** What became of an event at a webhook. */
export interface WebhookDeliveriesTable {
  webhook_id: string
  event_id: number
  /** The device whose events go out in order; null = in any. */
  lane: string | null
  state: 'pending' | 'delivered' | 'failed' | 'dead'
  tries: number
  first_try_at: Date | null
  last_try_at: Date | null
  retry_at: Date | null
  /** Since when the receiver says that it cannot take it. */
  refused_since: Date | null
  status: number | null
  duration_ms: number | null
  answer_bytes: number | null
  error: string | null
}

/** What a device has said, for webhooks in the shape of NanoMDM; ids rise in commit order. */
export interface DeviceMessagesTable {
  id: Generated<number>
  at: Date
  topic: string
  enrollment_id: string
  channel: 'device' | 'user' | 'shared_ipad_user' | 'user_enrollment_device' | 'user_enrollment_user'
  parent_id: string | null
  udid: string | null
  user_enrollment_id: string | null
  status: string | null
  command_uuid: string | null
  token_update_tally: number | null
  raw: Buffer
}

export interface EventsTables {
  device_messages: DeviceMessagesTable
  webhooks: WebhooksTable
  webhook_deliveries: WebhookDeliveriesTable
  event_subscriptions: EventSubscriptionsTable
  event_failures: EventFailuresTable

  event_outbox: EventOutboxTable
  events: EventsTable
}

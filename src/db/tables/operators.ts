import type { ColumnType, Generated } from 'kysely'

/** An API token; only the SHA-256 of its secret is kept. */
export interface ApiTokensTable {
  id: string
  name: string
  role: 'viewer' | 'operator' | 'admin'
  secret_hash: Buffer
  /** Whether FIRSTBOOT_ADMIN_TOKEN named it at the last start that had this setting. */
  from_setting: Generated<boolean>
  /** Ids of the tokens that made it, the first maker first. */
  makers: ColumnType<string[], string | undefined, never>
  expires_at: Date | null
  last_used_at: Date | null
  created_at: Date
  updated_at: Date
}

/** The answer given to a POST with an Idempotency-Key; no `status` while it still runs. */
export interface IdempotencyKeysTable {
  token_id: string
  key: string
  request_hash: Buffer
  started_at: Date
  status: number | null
  headers: ColumnType<Record<string, string> | null, string | null, string | null>
  body: string | null
}

/** What was asked for, until it gets its number in the trail. */
interface AuditOutboxTable {
  entry: string
  seq: Generated<number>
  at: Date
  /** False until the request has been answered. */
  is_complete: boolean
  content: ColumnType<Record<string, unknown>, string, string>
}

/** An entry of the audit trail; `content` is JSON, of which the other columns repeat a part. */
export interface AuditTable {
  number: number
  at: Date
  actor_id: string | null
  actor_name: string | null
  action: string
  object_kind: string | null
  object_id: string | null
  outcome: 'done' | 'refused'
  content: string
  /** SHA-256 of `content`, in hex. */
  hash: string
}

export interface OperatorsTables {
  audit: AuditTable
  audit_outbox: AuditOutboxTable
  api_tokens: ApiTokensTable
  idempotency_keys: IdempotencyKeysTable
}

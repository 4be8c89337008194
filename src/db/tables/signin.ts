import type { ColumnType, Generated } from 'kysely'

/** Where people prove who they are; `local` exists once. `config` is what the kind needs, without its secret. */
export interface SignInSourcesTable {
  id: string
  kind: 'local' | 'ws_trust' | 'oidc'
  name: string
  config: ColumnType<Record<string, unknown>, string, string>
  client_secret: Buffer | null
  create_users: Generated<boolean>
  links_existing_users: Generated<boolean>
  version: Generated<number>
  created_at: Generated<Date>
  updated_at: Generated<Date>
}

/**
 * Failed sign-ins of a user name or of an address (`subject`): `count` of the window that started at
 * `window_started_at`, `previous` of the one before it.
 */
export interface SignInFailuresTable {
  subject: string
  count: number
  previous: number
  window_started_at: Date
  locked_until: Date | null
}

/** A browser on its way through a sign-in; `state` is sealed JSON, the cookie holds the id. */
export interface WebSessionsTable {
  id_hash: Buffer
  state: Buffer
  expires_at: Date
  created_at: Date
}

export interface SigninTables {
  sign_in_sources: SignInSourcesTable
  sign_in_failures: SignInFailuresTable
  web_sessions: WebSessionsTable
}

import type { Generated } from 'kysely'

/**
 * A person. `user_name_key` is the name in NFC and case-folded: one user whatever the spelling. `sign_in_source_id` and
 * `sign_in_subject`: whom of a source this is; a source without a subject is the one whose next sign-in tells it.
 */
export interface UsersTable {
  id: string
  user_name: string
  user_name_key: string
  display_name: Generated<string>
  email: string | null
  password_hash: string | null
  device_limit: number | null
  enrollment_manager: Generated<boolean>
  disabled: Generated<boolean>
  must_change_password: Generated<boolean>
  password_expires_at: Date | null
  sign_in_source_id: string | null
  sign_in_subject: string | null
  version: Generated<number>
  created_at: Date
  updated_at: Date
}

export interface UsersTables {
  users: UsersTable
}

import type { Generated } from 'kysely'

/** A link by which devices enrol; `used` counts those that reached Authenticate. */
interface EnrollmentLinksTable {
  id: string
  key_hash: Buffer
  key_sealed: Buffer
  user_id: string | null
  uses: number
  used: Generated<number>
  expires_at: Date
  /** The static group that its devices join. */
  group_id: string | null
  revoked_at: Date | null
  created_at: Date
  updated_at: Date
}

export interface EntryTables {
  enrollment_links: EnrollmentLinksTable
}

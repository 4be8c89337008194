import type { ColumnType, Generated } from 'kysely'

/** A policy as an administrator wrote it; `ade` is checked and complete (contract, section 5). */
export interface EnrollmentPoliciesTable {
  id: string
  name: string
  description: Generated<string>
  user_affinity: 'none' | 'prompt'
  sign_in_source_id: string | null
  group_id: string | null
  ade: ColumnType<Record<string, unknown>, string, string>
  device_name_template: string | null
  version: Generated<number>
  created_at: Date
  updated_at: Date
}

export interface EnrollmentPoliciesTables {
  enrollment_policies: EnrollmentPoliciesTable
}

import type { Generated } from 'kysely'

/** A set of devices: static with member rows, or dynamic, which is the devices of its policy. */
export interface GroupsTable {
  id: string
  name: string
  kind: 'static' | 'dynamic'
  policy_id: string | null
  version: Generated<number>
  created_at: Date
  updated_at: Date
}

/** A member of a static group. */
interface GroupMembersTable {
  group_id: string
  enrollment_id: string
  added_at: Date
}

export interface GroupsTables {
  groups: GroupsTable
  group_members: GroupMembersTable
}

import type { Group } from './store.ts'

/** A group as the API tells it. */
export type GroupView = Group & { member_count: number }

/** What a change of members did. */
export type MembersChanged = { added: number; removed: number; version: number }

/** A group that a device is in, since when. */
export type GroupOfDevice = Pick<Group, 'id' | 'name' | 'kind' | 'policy_id'> & { added_at: Date }

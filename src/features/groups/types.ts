import type { Group } from './store.ts'

/** A change's circumstances: who asks, and a check that may refuse the version that is there. */
export type Change = { actorId: string; requestId: string; check?: (version: number) => void }

/** A group as the API tells it. */
export type GroupView = Group & { member_count: number }

/** What a change of members did. */
export type MembersChanged = { added: number; removed: number; version: number }

import type { Tx } from '../../../db/index.ts'
import type { Act } from '../../../kernel/act.ts'
import type { Events } from '../../events/index.ts'
import { deleteFacts } from './facts-store.ts'
import { removeFromAll, takeMembers } from './members-store.ts'
import { queueIfNamed } from './queue-store.ts'
import { tellChanges, type Because } from './tell.ts'

type Teller = Pick<Events, 'emit'>

/** Members that are taken out of a group at a time. */
const BATCH = 1000

/** Takes a device out of all groups, because its enrollment has ended, and forgets what rules could ask of it. */
export async function leaveAll(trx: Tx, events: Teller, enrollmentId: string, act: Act): Promise<void> {
  await deleteFacts(trx, [enrollmentId])
  await tellChanges(trx, events, await removeFromAll(trx, enrollmentId), { because: 'unenrolled', act })
}

/** Takes everybody out of a group that is about to be deleted. */
export async function emptyGroup(trx: Tx, events: Teller, groupId: string, act: Act): Promise<void> {
  for (;;) {
    const left = await takeMembers(trx, groupId, BATCH)
    await tellChanges(trx, events, left, { because: 'deleted', act })
    if (left.length < BATCH) return
  }
}

/** Tells who joined and left a static group, and has the groups follow whose rules name it. */
export async function noteMembers(
  trx: Tx,
  events: Teller,
  groupId: string,
  { added, removed }: { added: readonly string[]; removed: readonly string[] },
  cause: { because: Because; act: Act },
): Promise<void> {
  const changes = (ids: readonly string[], change: 'added' | 'removed') =>
    ids.map((enrollment_id) => ({ group_id: groupId, enrollment_id, change }))
  const all = [...changes(added, 'added'), ...changes(removed, 'removed')]
  await tellChanges(trx, events, all, cause)
  await queueIfNamed(trx, groupId, [...added, ...removed], cause.act)
}

import type { Tx } from '../../../db/index.ts'
import { hasOpenRollout, usesOfThing } from '../../../db/statements/uses.ts'
import { AppError } from '../../../kernel/errors.ts'

/** Throws AppError `in_use` while the contents of a group name a thing, and `rollout_running` while a rollout of it is open. */
export async function refuseWhileUsed(
  trx: Tx,
  kind: 'profile' | 'app',
  { id, name }: { id: string; name: string },
): Promise<void> {
  const usedBy = await usesOfThing(trx, kind, id)
  if (usedBy.length > 0)
    throw new AppError('in_use', `The ${kind} "${name}" is in the contents of groups.`, { usedBy })
  await refuseWhileReleased(trx, kind, id)
}

/** What is for everybody at once would overtake a rollout. Throws AppError `rollout_running` while one is open. */
export async function refuseWhileReleased(trx: Tx, kind: 'profile' | 'app', id: string): Promise<void> {
  if (!(await hasOpenRollout(trx, kind, id))) return
  throw new AppError(
    'rollout_running',
    `A rollout of this ${kind} is open. End it first, or store the revision with rollout=true.`,
  )
}

import type { Db, Tx } from '../../db/index.ts'
import { losersOf } from '../../db/statements/group-targets.ts'
import { usesOfGroup } from '../../db/statements/uses.ts'
import type { Act } from '../../kernel/act.ts'
import type { Clock } from '../../kernel/clock.ts'
import { AppError, type UsedBy } from '../../kernel/errors.ts'
import type { Events } from '../events/index.ts'
import type { Approval, CarriedOut, Governor } from '../governor/index.ts'
import { emptyGroup, lockRules } from './membership/index.ts'
import { deleteGroup, lockGroupToDelete, type Group } from './store.ts'

/** The name by which the governor knows that a group is to be deleted. */
const DELETE = 'groups.delete'

/** Deletes groups: for as many devices as lose what only a group brought, that destroys something. */
export function createRemoval(deps: {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  governor: Pick<Governor, 'ask' | 'carriesOut'>
  checkOwn: (group: Group | undefined, act: Act) => Group
}) {
  const { db, clock, events, governor, checkOwn } = deps

  /** Gives what waits for a second person, or null. */
  async function remove(id: string, act: Act): Promise<Approval | null> {
    return db.transaction(async (trx) => {
      const group = await lockToRemove(trx, id, act)
      const { approval } = await governor.ask(trx, act, {
        ...{ act: 'delete_group', deviceIds: await losersOf(trx, id), role: 'admin' },
        ...{ deed: DELETE, params: { id, version: group.version }, isLater: true },
      })
      if (approval === null) await removeLocked(trx, group, act)
      return approval
    })
  }

  async function lockToRemove(trx: Tx, id: string, act: Act): Promise<Group> {
    await lockRules(trx)
    const group = checkOwn(await lockGroupToDelete(trx, id), act)
    refuseIfNamed(await usesOfGroup(trx, id, clock.now()))
    return group
  }

  async function removeLocked(trx: Tx, group: Group, act: Act): Promise<void> {
    await emptyGroup(trx, events, group.id, act)
    await deleteGroup(trx, group.id)
    await events.emit(trx, { type: 'group.deleted', act, data: { group_id: group.id, name: group.name } })
  }

  /** Deletes a group that a second person has agreed to delete, if it is what it was then. */
  async function carryOutRemoval(trx: Tx, { act, params }: CarriedOut): Promise<void> {
    const { id, version } = params as { id: string; version: number }
    const group = await lockToRemove(trx, id, act)
    if (group.version !== version) throw new AppError('stale', 'The group has changed since.')
    await removeLocked(trx, group, act)
  }

  governor.carriesOut(DELETE, { inside: carryOutRemoval })
  return remove
}

function refuseIfNamed(usedBy: readonly UsedBy[]): void {
  if (usedBy.length === 0) return
  const names = usedBy.map(({ kind, name }) => `${kind.replaceAll('_', ' ')} "${name}"`).join(', ')
  throw new AppError('in_use', `The group is named by: ${names}.`, { usedBy })
}

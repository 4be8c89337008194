import { type Tx, isUniqueViolation } from '../../db/index.ts'
import { groupDevicesOf } from '../../db/statements/device-facts.ts'
import type { Act } from '../../kernel/act.ts'
import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { newId } from '../../kernel/ids.ts'
import type { Events } from '../events/index.ts'
import { emptyGroup, lockRules } from './membership/index.ts'
import { type Group, deleteGroup, findPolicyGroup, insertGroup, updateGroup } from './store.ts'

const PREFIX = 'EnrollmentProfile:'

/** Whether a name is kept for the groups of policies. */
export function isPolicyGroupName(name: string): boolean {
  return name.startsWith(PREFIX)
}

/** The policy that a group is of. */
type Owner = { id: string; name: string }

/** The dynamic group that each policy owns: made, renamed and deleted with it. */
export function createPolicyGroups(deps: { clock: Clock; events: Pick<Events, 'emit'> }) {
  const { clock, events } = deps

  function emit(
    trx: Tx,
    type: 'group.created' | 'group.deleted' | 'group.updated',
    { id, name, policy_id }: Group,
    act: Act,
  ) {
    return events.emit(trx, { type, act, data: { group_id: id, name, policy_id } })
  }

  return {
    /** Makes the policy's group, if it is not there yet. Throws AppError `conflict` when its name is another's. */
    async ensurePolicyGroup(trx: Tx, policy: Owner, act: Act): Promise<Group> {
      const known = await findPolicyGroup(trx, policy.id)
      if (known !== undefined) return known
      const now = clock.now()
      const name = PREFIX + policy.name
      const group = await insertGroup(
        trx,
        { id: newId(now), name, kind: 'dynamic', policy_id: policy.id },
        now,
      )
      if (group === undefined) throw taken(name)
      await emit(trx, 'group.created', group, act)
      await groupDevicesOf(trx, { userIds: [], policyIds: [policy.id] }, { by: null, via: null })
      return group
    },
    /** Gives the policy's group the policy's new name. Throws AppError `conflict` when it is another's. */
    async renamePolicyGroup(trx: Tx, policy: Owner, act: Act): Promise<void> {
      const group = await findPolicyGroup(trx, policy.id)
      const name = PREFIX + policy.name
      if (group === undefined || group.name === name) return
      try {
        await emit(trx, 'group.updated', await updateGroup(trx, group.id, { name }, clock.now()), act)
      } catch (error) {
        throw isUniqueViolation(error) ? taken(name) : error
      }
    },
    /** Deletes the policy's group. */
    async deletePolicyGroup(trx: Tx, policyId: string, act: Act): Promise<void> {
      await lockRules(trx)
      const group = await findPolicyGroup(trx, policyId)
      if (group === undefined) return
      await emptyGroup(trx, events, group.id, act)
      await deleteGroup(trx, group.id)
      await emit(trx, 'group.deleted', group, act)
    },
  }
}

function taken(name: string): AppError {
  return new AppError('conflict', `There is a group named "${name}" already.`)
}

import { type Tx, isUniqueViolation } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { newId } from '../../kernel/ids.ts'
import type { Events } from '../events/index.ts'
import { type Group, deleteGroup, findPolicyGroup, insertGroup, updateGroup } from './store.ts'

const PREFIX = 'EnrollmentProfile:'

/** Whether a name is kept for the groups of policies. */
export function isPolicyGroupName(name: string): boolean {
  return name.startsWith(PREFIX)
}

/** The dynamic group that each policy owns: made, renamed and deleted with it. */
export function createPolicyGroups(deps: { clock: Clock; events: Pick<Events, 'emit'> }) {
  const { clock, events } = deps

  function emit(trx: Tx, type: 'group.created' | 'group.deleted' | 'group.updated', group: Group) {
    const { id, name, policy_id } = group
    return events.emit(trx, { type, data: { group_id: id, name, policy_id } })
  }

  return {
    /** Makes the policy's group, if it is not there yet. Throws AppError `conflict` when its name is another's. */
    async ensurePolicyGroup(trx: Tx, policyId: string, policyName: string): Promise<Group> {
      const known = await findPolicyGroup(trx, policyId)
      if (known !== undefined) return known
      const now = clock.now()
      const name = PREFIX + policyName
      const group = await insertGroup(
        trx,
        { id: newId(now), name, kind: 'dynamic', policy_id: policyId },
        now,
      )
      if (group === undefined) throw taken(name)
      await emit(trx, 'group.created', group)
      return group
    },
    /** Gives the policy's group the policy's new name. Throws AppError `conflict` when it is another's. */
    async renamePolicyGroup(trx: Tx, policyId: string, policyName: string): Promise<void> {
      const group = await findPolicyGroup(trx, policyId)
      const name = PREFIX + policyName
      if (group === undefined || group.name === name) return
      try {
        await emit(trx, 'group.updated', await updateGroup(trx, group.id, { name }, clock.now()))
      } catch (error) {
        throw isUniqueViolation(error) ? taken(name) : error
      }
    },
    /** Deletes the policy's group. */
    async deletePolicyGroup(trx: Tx, policyId: string): Promise<void> {
      const group = await findPolicyGroup(trx, policyId)
      if (group === undefined) return
      await deleteGroup(trx, group.id)
      await emit(trx, 'group.deleted', group)
    },
  }
}

function taken(name: string): AppError {
  return new AppError('conflict', `There is a group named "${name}" already.`)
}

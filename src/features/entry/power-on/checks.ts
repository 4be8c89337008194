import type { Assignment } from '../../../db/statements/power-on.ts'
import type { NewStep, ReasonCode, StepName } from '../../attempts/index.ts'
import type { RefusalDetail } from '../../events/index.ts'
import type { EntryPolicy, Known } from './record.ts'
import type { Machine } from './machine.ts'
import { meetsMinimum } from './os-version.ts'

/** A refusal of a step, for the timeline. */
export interface StepRefusal {
  step: StepName
  reason: ReasonCode
  detail: RefusalDetail
}

/** What was passed, and what was not. `updateTo`: the OS version that the device can bring itself to. */
export interface Checked {
  steps: NewStep[]
  refusal?: StepRefusal
  updateTo?: string
}

/**
 * Everything that is decided of a device before anybody signs in, in the order of the contract. `mayRepeat` false: what it says
 * is a copy, and such are refused here.
 */
export function checkDevice(
  machine: Machine,
  known: Pick<Known, 'adeServerId' | 'assignment' | 'topic'> & { policy: EntryPolicy; mayRepeat: boolean },
): Checked {
  const { policy, assignment } = known
  const steps: NewStep[] = [{ step: 'contact', outcome: 'passed', detail: factsOf(machine) }]
  if (!known.mayRepeat) return refused(steps, 'contact', 'machine_info_replayed', {})
  const unassigned = checkAssignment(assignment, policy, known.adeServerId)
  if (unassigned !== undefined) return refused(steps, 'assignment', ...unassigned)
  steps.push({ step: 'assignment', outcome: 'passed', detail: { policy: policy.name } })
  const minimum = policy.ade.minimum_os_version
  if (minimum !== null) {
    const { isMet, osVersion } = meetsMinimum(machine.info, minimum)
    const detail = { os_version: osVersion, minimum_os_version: minimum }
    const canUpdate = machine.info.canRequestSoftwareUpdate
    if (!isMet)
      return {
        ...refused(steps, 'os_version', 'os_update_required', { ...detail, can_update: canUpdate }),
        ...(canUpdate && { updateTo: minimum }),
      }
    steps.push({ step: 'os_version', outcome: 'passed', detail })
  }
  return known.topic === null ? refused(steps, 'profile', 'push_certificate_missing', {}) : { steps }
}

function checkAssignment(
  assignment: Assignment | undefined,
  policy: EntryPolicy,
  adeServerId: string | undefined,
): [ReasonCode, RefusalDetail] | undefined {
  if (assignment === undefined) return ['unknown_serial', {}]
  if (assignment.released_at !== null) return ['unknown_serial', { problem: 'it was released' }]
  if (assignment.removed_at !== null || assignment.ade_server_id === null)
    return ['unknown_serial', { problem: 'Apple counts it as ours no more' }]
  const detail = { policy: policy.name, policy_id: policy.id }
  if (assignment.ade_server_id !== adeServerId)
    return ['not_assigned', { ...detail, problem: 'it belongs to another ADE server' }]
  if (assignment.policy_id !== policy.id)
    return ['not_assigned', { ...detail, assigned_policy_id: assignment.policy_id }]
  if (!policy.ade.enabled)
    return ['not_assigned', { ...detail, problem: 'automated enrollment is off in this policy' }]
  return assignment.blocked_at === null
    ? undefined
    : ['blocked', { blocked_at: assignment.blocked_at.toISOString() }]
}

function factsOf({ info }: Machine): Record<string, unknown> {
  return { product: info.product, build: info.version, ...(info.osVersion && { os_version: info.osVersion }) }
}

function refused(steps: NewStep[], step: StepName, reason: ReasonCode, detail: RefusalDetail): Checked {
  return { steps, refusal: { step, reason, detail } }
}

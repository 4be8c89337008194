import type { Tx } from '../../../db/index.ts'
import { appleUuidOf } from '../../../kernel/ids.ts'
import { buildCommand } from '../../../protocol/mdm/index.ts'
import type { Enrollment } from '../../devices/index.ts'
import { isAutomated } from '../../entry/index.ts'
import type { EventType, PublishedEvent } from '../../events/index.ts'
import type { EnrollmentDeps } from '../deps.ts'

/** The first push often loses the race against the device's own connection to Apple, so one more follows. */
const SECOND_PUSH_SECONDS = 60

/** What acts follow from. */
export const ACT_FACTS = ['device.enrolled', 'device.facts_changed'] as const satisfies readonly EventType[]

/**
 * Subscription on `ACT_FACTS`: a device is asked for the code that bypasses its Activation Lock, which it tells for some days only,
 * when it enrolls and when its lock goes on; and one that was erased in lost mode is in it again (Apple asks for that).
 */
export function followForActs(deps: EnrollmentDeps, facts: readonly PublishedEvent[]): Promise<void> {
  return deps.db.transaction(async (trx) => {
    for (const event of facts) {
      const id = event.enrollment_id
      if (id === null || !matters(event)) continue
      const device = await deps.devices.findEnrollment(trx, id)
      if (device !== undefined) await follow(trx, deps, device, event)
    }
  })
}

function matters({ type, data }: PublishedEvent): boolean {
  const changed = data['changed']
  return type === 'device.enrolled' || (Array.isArray(changed) && changed.includes('activation_lock_enabled'))
}

async function follow(
  trx: Tx,
  deps: EnrollmentDeps,
  device: Enrollment,
  { id, at, type }: PublishedEvent,
): Promise<void> {
  const command = (requestType: string, fields: Record<string, unknown>) => {
    const uuid = appleUuidOf(`${device.id} ${at.toISOString()} ${id} ${requestType}`)
    const body = buildCommand(uuid, requestType, fields)
    return { uuid, requestType, body, targets: [device.id], purpose: 'act' as const }
  }
  const isNew = type === 'device.enrolled'
  const isLost = device.lost_mode_since !== null
  const commands = []
  // Of one that came in another way it is not known at that time whether it is supervised; in lost mode it tells no code.
  if (isNew ? isAutomated(device.way) : device.supervised === true && !isLost)
    commands.push({ ...command('ActivationLockBypassCode', {}), priority: 'high' as const })
  if (isNew && device.lost_mode_wanted !== null && !isLost) {
    const shown = JSON.parse(device.lost_mode_wanted) as Record<string, unknown>
    commands.push({ ...command('EnableLostMode', shown), priority: 'high' as const })
  }
  await deps.commands.enqueueOnce(trx, commands, SECOND_PUSH_SECONDS)
}

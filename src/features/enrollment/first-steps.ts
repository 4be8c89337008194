import { appleUuidOf } from '../../kernel/ids.ts'
import { buildCommand } from '../../protocol/mdm/index.ts'
import type { PublishedEvent } from '../events/index.ts'
import { DEVICE_QUERIES } from '../inventory/index.ts'
import type { EnrollmentDeps } from './deps.ts'

/** The first push often loses the race against the device's own connection to Apple, so one more follows. */
const SECOND_PUSH_SECONDS = 60

/** Subscription on `device.enrolled`: a device is asked what it is. */
export function takeFirstSteps(
  deps: Pick<EnrollmentDeps, 'db' | 'commands'>,
  enrolled: readonly PublishedEvent[],
): Promise<void> {
  return deps.db.transaction((trx) =>
    deps.commands.enqueueOnce(trx, enrolled.flatMap(firstCommand), SECOND_PUSH_SECONDS),
  )
}

/** The CommandUUIDs of what a device is asked upon an event of type `device.enrolled`. */
export function firstCommandsOf({ id, at, enrollment_id }: PublishedEvent): string[] {
  return [appleUuidOf(`${enrollment_id} ${at.toISOString()} ${id} DeviceInformation`)]
}

function firstCommand(event: PublishedEvent) {
  const target = event.enrollment_id
  if (target === null) return []
  return firstCommandsOf(event).map((uuid) => ({
    uuid,
    requestType: 'DeviceInformation',
    body: buildCommand(uuid, 'DeviceInformation', { Queries: DEVICE_QUERIES }),
    targets: [target],
    purpose: 'inventory' as const,
  }))
}

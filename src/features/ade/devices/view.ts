import { datesOf } from '../../../kernel/schema.ts'
import { isSameUuid } from '../../../protocol/ade/index.ts'
import type { DeviceView } from './schema.ts'
import type { ListedDevice } from './release.ts'
import type { AdeDevice } from './store.ts'

const iso = (date: Date | null) => date?.toISOString() ?? null

/** A serial number as the API tells it. */
export function showDevice(device: ListedDevice): DeviceView {
  const isCurrent = isCurrentAtApple(device)
  const runs = runsCurrent(device)
  return {
    id: device.serial_number,
    serial_number: device.serial_number,
    state: device.state,
    ade_server_id: device.ade_server_id,
    policy_id: device.policy_id,
    model: device.model,
    description: device.description,
    color: device.color,
    asset_tag: device.asset_tag,
    device_family: device.device_family,
    os: device.os,
    device_assigned_date: iso(device.device_assigned_date),
    device_assigned_by: device.device_assigned_by,
    mdm_migration_deadline: iso(device.mdm_migration_deadline),
    assignment: showAssignment(device),
    apple: {
      profile_uuid: device.apple_profile_uuid,
      profile_status: device.apple_profile_status,
      profile_assign_time: iso(device.profile_assign_time),
      profile_push_time: iso(device.profile_push_time),
      op_date: iso(device.op_date),
      seen_at: iso(device.apple_seen_at),
    },
    profile_current_at_apple: isCurrent,
    device_runs_current_profile: runs,
    other_enrollments: device.other_enrollments,
    note: noteOf(device, isCurrent, runs),
    contacted_at: iso(device.contacted_at),
    enrolled_at: iso(device.enrolled_at),
    unenrolled_at: iso(device.unenrolled_at),
    blocked_at: iso(device.blocked_at),
    released_at: iso(device.released_at),
    removed_at: iso(device.removed_at),
    ...datesOf(device),
  }
}

function showAssignment(device: AdeDevice) {
  const { assignment_state: state, assignment_attempts: attempts } = device
  if (state === null) return null
  // While Apple does not take the profile of the policy, that is what its devices wait for.
  const isHeld = state === 'pending' && device.profile_error !== null
  return {
    state,
    attempts,
    retry_at: iso(isHeld ? device.profile_retry_at : device.assignment_retry_at),
    error: isHeld ? device.profile_error : device.assignment_error,
  }
}

function isCurrentAtApple(device: AdeDevice): boolean | null {
  if (device.policy_id === null) return null
  const isAssigned = device.apple_profile_status !== 'empty' && device.apple_profile_status !== 'removed'
  return isAssigned && isWanted(device, device.apple_profile_uuid)
}

function runsCurrent(device: AdeDevice): boolean | null {
  if (device.policy_id === null || device.running_profile_uuid === null) return null
  return isWanted(device, device.running_profile_uuid)
}

function isWanted(device: AdeDevice, uuid: string | null): boolean {
  const { wanted_profile_uuid: wanted, wanted_is_defined: isDefined } = device
  return isDefined && wanted !== null && uuid !== null && isSameUuid(uuid, wanted)
}

function noteOf(device: AdeDevice, isCurrent: boolean | null, runs: boolean | null): string | null {
  if (runs !== false || device.state !== 'enrolled') return null
  return isCurrent === true
    ? 'The policy has changed since this device was set up. Apple has the new one; supervision, lock and the panes of Setup Assistant change on the device only when it is erased and set up again.'
    : 'The policy has changed since this device was set up, and is on its way to Apple; supervision, lock and the panes of Setup Assistant change on the device only when it is erased and set up again.'
}

import type { AppleDevice, AppleDeviceFacts, AppleServer, Operation } from './organization.ts'

const OS_NAMES = { iPhone: 'iOS', iPad: 'iPadOS', Mac: 'OSX', AppleTV: 'tvOS' } as const

const SINCE_FAMILY = 2
const SINCE_IPADOS = 7
const SINCE_DEADLINE = 8

/** A time as Apple writes it, in whole seconds. */
export function isoTime(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z')
}

/** A device as the lists show it to a client of that protocol version. */
export function deviceRecord(device: AppleDevice, version: number): Record<string, unknown> {
  const { facts, server } = device
  return {
    ...describe(facts, version),
    profile_status: device.profileStatus,
    ...times({
      profile_assign_time: device.profileAssignedAt,
      profile_push_time: device.profilePushedAt,
      device_assigned_date: device.assignedAt,
      mdm_migration_deadline: version >= SINCE_DEADLINE ? facts.migrationDeadline : undefined,
    }),
    ...(device.profileUuid === undefined ? {} : { profile_uuid: device.profileUuid }),
    ...(server === undefined ? {} : { device_assigned_by: server.appleId }),
  }
}

/** An entry of a server's sync page. One that went away shows no more than what it is. */
export function operationRecord(
  { kind, at, device }: Operation,
  server: AppleServer,
  version: number,
): Record<string, unknown> {
  const isGone = kind === 'deleted' || device.server !== server
  const record = isGone ? describe(device.facts, version) : deviceRecord(device, version)
  return { ...record, op_type: kind, op_date: isoTime(at) }
}

function describe(facts: AppleDeviceFacts, version: number): Record<string, unknown> {
  const { serialNumber, model = 'IPHONE 15', color = 'BLACK', deviceFamily = 'iPhone' } = facts
  const system = OS_NAMES[deviceFamily]
  const os = system === 'iPadOS' && version < SINCE_IPADOS ? 'iOS' : system
  return {
    serial_number: serialNumber,
    model,
    color,
    description: facts.description ?? `${model} ${color}`,
    ...(facts.assetTag === undefined ? {} : { asset_tag: facts.assetTag }),
    ...(version >= SINCE_FAMILY ? { device_family: deviceFamily, os } : {}),
  }
}

function times(dates: Readonly<Record<string, Date | undefined>>): Record<string, string> {
  const known = Object.entries(dates).filter((entry): entry is [string, Date] => entry[1] !== undefined)
  return Object.fromEntries(known.map(([name, date]) => [name, isoTime(date)]))
}

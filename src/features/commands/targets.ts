import type { Db } from '../../db/index.ts'
import { groupTargets } from '../../db/statements/group-targets.ts'
import { AppError } from '../../kernel/errors.ts'
import { suits, type Part } from '../../protocol/mdm/index.ts'
import type { Devices } from '../devices/index.ts'
import { MOST_DEVICES, type CommandWanted } from './schema.ts'

/** Devices and warnings that one answer tells of. */
const MOST_TOLD = 100

interface TargetDeps {
  db: Db
  devices: Pick<Devices, 'findSuited' | 'liveIds'>
}

/** The devices for which a command is wanted: those named, and the members of groups at this moment. Errors: `invalid_request`. */
export async function findTargets(
  { db, devices }: TargetDeps,
  { device_ids = [], group_ids = [] }: CommandWanted,
): Promise<string[]> {
  if (device_ids.length + group_ids.length === 0)
    throw new AppError('invalid_request', 'Give device_ids, group_ids or both.', {
      faults: [{ pointer: '/device_ids', detail: 'is needed, or group_ids' }],
    })
  const live = await devices.liveIds(db.kysely, device_ids)
  refuse(device_ids, 'device_ids', 'is not enrolled here', (id) => live.has(id))
  if (group_ids.length === 0) return [...new Set(device_ids)]
  const { known, deviceIds } = await groupTargets(db.kysely, group_ids, MOST_DEVICES + 1)
  refuse(group_ids, 'group_ids', 'is no group', (id) => known.has(id))
  const all = [...new Set([...device_ids, ...deviceIds])]
  if (all.length === 0)
    throw new AppError('invalid_request', 'No device is a member of these groups.', {
      faults: [{ pointer: '/group_ids', detail: 'no device is a member' }],
    })
  if (all.length > MOST_DEVICES)
    throw new AppError('invalid_request', `These are more than ${MOST_DEVICES} devices.`)
  return all
}

function refuse(ids: readonly string[], name: string, what: string, isGood: (id: string) => boolean): void {
  const fields = ids.flatMap((id, at) =>
    isGood(id) ? [] : [{ path: `${name}.${at}`, message: `${id} ${what}` }],
  )
  if (fields.length > 0)
    throw new AppError('invalid_request', fields[0]?.message, { fields: fields.slice(0, MOST_TOLD) })
}

/**
 * What devices will leave out of a command with these parts, and what of it is deprecated. Throws `command_unsuited` when it does not
 * suit all of them, unless it is forced.
 */
export async function checkSuited(
  { db, devices }: TargetDeps,
  command: { requestType: string; parts: readonly Part[]; forced?: boolean },
  ids: readonly string[],
): Promise<string[]> {
  const { requestType, parts, forced = false } = command
  const judged = (await devices.findSuited(db.kysely, ids)).map((channels) => ({
    ids: channels.ids,
    ...suits(channels, requestType, parts),
  }))
  const unsuited = judged
    .filter(({ reasons }) => reasons.length > 0)
    .flatMap(({ ids: these, reasons, details }) =>
      these.slice(0, MOST_TOLD).map((device_id) => ({ device_id, reasons, details })),
    )
  const [first] = unsuited
  if (first !== undefined && !forced)
    throw new AppError('command_unsuited', `${first.device_id}: ${first.details.join(' ')}`, {
      unsuited: unsuited.slice(0, MOST_TOLD),
    })
  const told = [...judged.flatMap(({ details }) => details), ...judged.flatMap(({ warnings }) => warnings)]
  return [...new Set(told)].slice(0, MOST_TOLD)
}

import type { Tx } from '../../../db/index.ts'
import { AppError } from '../../../kernel/errors.ts'
import type { InventoryKind, Report } from '../../../protocol/mdm/index.ts'
import type { NewEvent } from '../../events/index.ts'
import { takeApps } from './apps.ts'
import { takeFacts } from './facts.ts'
import { takeProfiles } from './profiles.ts'
import { lockDetails, noteList } from './reports-store.ts'
import type { Arrival, ReportsDeps, Told } from './told.ts'
import { wholeAmong } from './whole.ts'

/** Lists that are in memory at once. */
const AT_ONCE = 20

/**
 * Takes inventory in that has come: what is new of it goes to the tables and is told. The row of details is the lock on all that is
 * known of a device, so that two processes do not compare with the same past.
 */
export async function takeIn(trx: Tx, deps: ReportsDeps, arrivals: readonly Arrival[]): Promise<void> {
  const newest = newestOf(arrivals)
  const devices = await deps.devices.findEnrollments(trx, idsOf(newest))
  const known = newest.filter(({ enrollment_id: id }) => devices.has(id))
  if (known.length === 0) return
  const details = await lockDetails(trx, [...devices.values()])
  const whole = await wholeAmong(trx, deps.commands, known)
  for (let from = 0; from < known.length; from += AT_ONCE) {
    const part = known.slice(from, from + AT_ONCE)
    const told: Told[] = []
    for (const row of await deps.devices.findInventories(trx, part)) {
      const arrival = part.find(
        ({ enrollment_id: id, kind }) => id === row.enrollment_id && kind === row.kind,
      )
      const device = devices.get(row.enrollment_id)
      const kept = details.get(row.enrollment_id)
      const report = await read(deps, row)
      if (!arrival || !device || !kept || !report) continue
      // What has come since is of another command, which may have asked for less.
      const isWhole = whole.has(arrival.command_uuid) && row.received_at <= arrival.at
      told.push({ device, details: kept, report, at: row.received_at, isWhole })
    }
    await deps.events.emit(trx, ...(await takeAll(trx, deps, told)))
  }
}

/** Of several answers of a kind only the newest is kept. */
function newestOf(arrivals: readonly Arrival[]): (Arrival & { kind: InventoryKind })[] {
  const newest = new Map<string, Arrival & { kind: InventoryKind }>()
  for (const arrival of arrivals) {
    if (arrival.kind === null) continue
    newest.set(`${arrival.kind} ${arrival.enrollment_id}`, {
      ...arrival,
      kind: arrival.kind as InventoryKind,
    })
  }
  return [...newest.values()]
}

function idsOf(arrivals: readonly Arrival[]): string[] {
  return [...new Set(arrivals.map(({ enrollment_id: id }) => id))]
}

async function read(
  { log, reader }: ReportsDeps,
  { enrollment_id, kind, data }: { enrollment_id: string; kind: string; data: Buffer },
): Promise<Report | undefined> {
  try {
    return await reader.readReport(kind as InventoryKind, data)
  } catch (error) {
    // Too many large ones at a time: that will pass.
    if (error instanceof AppError && error.code === 'overloaded') throw error
    log.warn({ event: 'inventory.unreadable', enrollment_id, kind, err: error }, 'inventory cannot be read')
    return undefined
  }
}

async function takeAll(trx: Tx, deps: ReportsDeps, told: readonly Told[]): Promise<NewEvent[]> {
  const facts: Parameters<typeof takeFacts>[2][number][] = []
  const profiles: Parameters<typeof takeProfiles>[1][number][] = []
  const apps: Parameters<typeof takeApps>[1][number][] = []
  for (const { report, ...rest } of told) {
    if ('facts' in report) facts.push({ ...rest, report })
    if ('profiles' in report) profiles.push({ ...rest, report })
    if ('apps' in report) apps.push({ ...rest, report })
  }
  const events = [
    ...(await takeFacts(trx, deps, facts)),
    ...(await takeApps(trx, apps)),
    ...(await takeProfiles(trx, profiles)),
  ]
  await noteList(
    trx,
    told
      .filter(({ isWhole }) => isWhole)
      .map(({ device, report, at }) => ({ id: device.id, kind: report.kind, at })),
  )
  return [
    ...events,
    ...told.map(({ device, report, isWhole }) => ({
      type: 'inventory.received' as const,
      enrollment_id: device.id,
      data: { kind: report.kind, whole: isWhole },
    })),
  ]
}

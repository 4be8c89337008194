import { isDeepStrictEqual } from 'node:util'
import type { Tx } from '../../../db/index.ts'
import type { Report, ToldFacts } from '../../../protocol/mdm/index.ts'
import type { NewEvent } from '../../events/index.ts'
import { saveDetails, type Details } from './reports-store.ts'
import { searchTermsOf } from './search-terms.ts'
import type { ReportsDeps, Told } from './told.ts'

type Facts = Partial<ToldFacts>
type FactsReport = Extract<Report, { facts: unknown }>

/** Facts that are another each time: nobody is told when they change. */
const VOLATILE: readonly string[] = [
  'available_capacity_gb',
  'battery_level',
  'last_cloud_backup_at',
] satisfies (keyof ToldFacts)[]

/** Keeps facts that devices told, and gives what is to be told of them. What is not told anew stays. */
export async function takeFacts(
  trx: Tx,
  { devices }: Pick<ReportsDeps, 'devices'>,
  reports: readonly Told<FactsReport>[],
): Promise<NewEvent[]> {
  const events: NewEvent[] = []
  const changed = new Map<string, Details>()
  for (const { device, details, report, at } of reports) {
    const before: Facts = details.facts
    const after = merge(before, report.facts)
    if (isDeepStrictEqual(before, after)) continue
    details.facts = after
    changed.set(device.id, { ...details, search_terms: searchTermsOf(after), updated_at: at })
    events.push(...changesOf(before, after).map((event) => ({ ...event, enrollment_id: device.id })))
  }
  await saveDetails(trx, [...changed.values()])
  for (const { device, report, at } of reports) {
    const since = lostModeSince(device.lost_mode_since, report.facts.lost_mode_enabled, at)
    if (since === device.lost_mode_since) continue
    await devices.updateEnrollment(trx, device.id, { lost_mode_since: since })
    device.lost_mode_since = since
    const type = since === null ? 'device.lost_mode_disabled' : 'device.lost_mode_enabled'
    events.push({ type, enrollment_id: device.id })
  }
  return events
}

/** Of another version of the system what the former one had besides is not true any more. */
function merge(before: Facts, told: Facts): Facts {
  const isUpdated = told.os_version !== undefined && told.os_version !== before.os_version
  if (!isUpdated) return { ...before, ...told }
  const { os_version_extra: _, supplemental_build_version: __, ...rest } = before
  return { ...rest, ...told }
}

function changesOf(before: Facts, after: Facts): NewEvent[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])] as (keyof Facts)[]
  const changed = names
    .filter((name) => !VOLATILE.includes(name) && !isDeepStrictEqual(before[name], after[name]))
    .toSorted()
  const events: NewEvent[] = []
  if (changed.length > 0) events.push({ type: 'device.facts_changed', data: { changed } })
  const versions = { from: versionOf(before), to: versionOf(after) }
  if (differs(versions)) events.push({ type: 'device.os_updated', data: versions })
  const called = { from: before.device_name, to: after.device_name }
  if (differs(called)) events.push({ type: 'device.name_changed', data: called })
  return events
}

function versionOf({ os_version: version, os_version_extra: extra }: Facts): string | undefined {
  return version === undefined || extra === undefined ? version : `${version} ${extra}`
}

function differs(pair: {
  from: string | undefined
  to: string | undefined
}): pair is { from: string; to: string } {
  return pair.from !== undefined && pair.to !== undefined && pair.from !== pair.to
}

/** What was told before a device was put into lost mode says nothing against it. */
function lostModeSince(known: Date | null, isOn: boolean | undefined, at: Date): Date | null {
  if (isOn === true) return known ?? at
  return isOn === false && known !== null && known < at ? null : known
}

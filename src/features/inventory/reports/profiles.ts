import { isDeepStrictEqual } from 'node:util'
import type { Tx } from '../../../db/index.ts'
import type { ListedProfile, Report } from '../../../protocol/mdm/index.ts'
import type { NewEvent } from '../../events/index.ts'
import { deleteProfiles, profilesOf, saveProfiles, type ProfileRow } from './lists-store.ts'
import type { Told } from './told.ts'

/** Keeps lists of profiles; what has not changed is not written. */
export async function takeProfiles(
  trx: Tx,
  reports: readonly Told<Extract<Report, { profiles: unknown }>>[],
): Promise<NewEvent[]> {
  if (reports.length === 0) return []
  const before = new Map<string, Map<string, ProfileRow>>()
  for (const row of await profilesOf(
    trx,
    reports.map(({ device }) => device.id),
  )) {
    const rows = before.get(row.enrollment_id) ?? new Map<string, ProfileRow>()
    before.set(row.enrollment_id, rows.set(keyOf(row), row))
  }
  const gone: ProfileRow[] = []
  const saved: ProfileRow[] = []
  for (const { device, report, at, isWhole } of reports) {
    const known = before.get(device.id) ?? new Map<string, ProfileRow>()
    for (const profile of report.profiles) {
      const row = known.get(keyOf(profile))
      known.delete(keyOf(profile))
      const now = { ...profile, enrollment_id: device.id, received_at: row?.received_at ?? at }
      if (row === undefined || !isDeepStrictEqual(now, row)) saved.push({ ...now, received_at: at })
    }
    if (isWhole) gone.push(...known.values())
  }
  await deleteProfiles(trx, gone)
  await saveProfiles(trx, saved)
  return []
}

function keyOf({ identifier, uuid }: Pick<ListedProfile, 'identifier' | 'uuid'>): string {
  return `${identifier}\n${uuid}`
}

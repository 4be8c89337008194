import { isDeepStrictEqual } from 'node:util'
import type { Tx } from '../../../db/index.ts'
import type { InstalledApp, ManagedApp, Report } from '../../../protocol/mdm/index.ts'
import type { NewEvent } from '../../events/index.ts'
import { appsOf, deleteApps, saveApps, type AppRow } from './lists-store.ts'
import { hadList } from './reports-store.ts'
import type { Told } from './told.ts'

type AppsReport = Extract<Report, { apps: unknown }>

/** Apps of each sort that one event tells of. */
const MOST_TOLD = 100

const NOT_INSTALLED = {
  is_installed: false,
  name: null,
  version: null,
  short_version: null,
  bundle_size: null,
  is_installing: null,
  is_validated: null,
  external_version: null,
  source: null,
} as const
const NOT_MANAGED = {
  managed_status: null,
  management_flags: null,
  has_configuration: null,
  has_feedback: null,
} as const

/**
 * Keeps lists of apps, and gives what is to be told of them. An app has one row, into which both lists go; what has not changed is
 * not written.
 */
export async function takeApps(trx: Tx, reports: readonly Told<AppsReport>[]): Promise<NewEvent[]> {
  if (reports.length === 0) return []
  const ids = [...new Set(reports.map(({ device }) => device.id))]
  const before = new Map<string, Map<string, AppRow>>(ids.map((id) => [id, new Map()]))
  for (const row of await appsOf(trx, ids)) before.get(row.enrollment_id)?.set(row.identifier, row)
  const known = await hadList(trx, ids, 'installed_applications')
  const after = new Map([...before].map(([id, rows]) => [id, new Map(rows)]))
  for (const report of reports) merge(after.get(report.device.id) ?? new Map<string, AppRow>(), report)
  const gone: AppRow[] = []
  const saved: AppRow[] = []
  for (const [id, rows] of after)
    for (const [identifier, row] of rows) {
      const isThere = row.is_installed || row.managed_status !== null
      const old = before.get(id)?.get(identifier)
      if (!isThere) gone.push(row)
      else if (!isDeepStrictEqual(old, row)) saved.push(row)
    }
  await deleteApps(trx, gone)
  await saveApps(trx, saved)
  return ids.flatMap((id) =>
    known.has(id) ? changesOf(id, before.get(id) ?? new Map(), after.get(id) ?? new Map()) : [],
  )
}

/** Puts a list into the rows of a device. */
function merge(rows: Map<string, AppRow>, { device, report, at, isWhole }: Told<AppsReport>): void {
  const isInstalled = report.kind === 'installed_applications'
  const none = isInstalled ? NOT_INSTALLED : NOT_MANAGED
  const listed = new Set<string>()
  for (const app of report.apps) {
    listed.add(app.identifier)
    const old = rows.get(app.identifier)
    const base = old ?? { ...NOT_INSTALLED, ...NOT_MANAGED, enrollment_id: device.id, received_at: at }
    const told: Partial<InstalledApp & ManagedApp & { is_installed: boolean }> = isInstalled
      ? { ...app, is_installed: true }
      : app
    put(rows, old, { ...base, ...(isWhole ? told : withoutNulls(told)), identifier: app.identifier }, at)
  }
  if (!isWhole) return
  for (const [identifier, row] of rows) if (!listed.has(identifier)) put(rows, row, { ...row, ...none }, at)
}

function put(rows: Map<string, AppRow>, old: AppRow | undefined, row: AppRow, at: Date): void {
  if (!isDeepStrictEqual(old, row)) rows.set(row.identifier, { ...row, received_at: at })
}

function withoutNulls<T extends object>(members: T): Partial<T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null)) as Partial<T>
}

function changesOf(
  id: string,
  before: ReadonlyMap<string, AppRow>,
  after: ReadonlyMap<string, AppRow>,
): NewEvent[] {
  const was = (identifier: string) => before.get(identifier)?.is_installed === true
  const isNow = (identifier: string) => after.get(identifier)?.is_installed === true
  const added = [...after.values()].filter((row) => row.is_installed && !was(row.identifier))
  const removed = [...before.values()].filter((row) => row.is_installed && !isNow(row.identifier))
  const updated = [...after.values()].flatMap((row) => {
    const old = before.get(row.identifier)
    const isOther = old?.is_installed && row.is_installed && versionOf(old) !== versionOf(row)
    return isOther ? [{ ...nameOf(row), from: versionOf(old), to: versionOf(row) }] : []
  })
  if (added.length + removed.length + updated.length === 0) return []
  const told = (rows: readonly AppRow[]) =>
    rows.slice(0, MOST_TOLD).map((row) => ({ ...nameOf(row), version: versionOf(row) }))
  return [
    {
      type: 'device.app_changed',
      enrollment_id: id,
      data: {
        added: told(added),
        removed: told(removed),
        updated: updated.slice(0, MOST_TOLD),
        added_count: added.length,
        removed_count: removed.length,
        updated_count: updated.length,
      },
    },
  ]
}

function nameOf({ identifier, name }: AppRow) {
  return { identifier, name }
}

function versionOf({ short_version, version }: AppRow): string | null {
  return short_version ?? version
}

import type { Fleet } from '../simulator/index.ts'
import { formatRecord, formatTable } from './table.ts'

const SHOWN = 20

/** A breach of a protocol, as a row. */
export interface Breach {
  kind: string
  serial_number: string | null
  detail: string
}

/** What a simulation came to, for people; `ok` when the server kept to the protocol and let everybody in. */
export function summarize(fleet: Fleet, others: readonly Breach[]): { text: string; ok: boolean } {
  const { stats, violations } = fleet.counter
  const refused = Object.entries(stats.refused)
  const counts = formatRecord({
    devices: fleet.devices.length,
    enrolled: stats.enrolled,
    sessions: stats.sessions,
    acknowledged: stats.results.Acknowledged,
    not_now: stats.results.NotNow,
    error: stats.results.Error,
    format_error: stats.results.CommandFormatError,
    pushes: stats.pushes,
    push_to_answer_ms: median(stats.pushToAnswer),
    server_away: stats.lost,
    removed: stats.removed,
    erased: stats.erased,
  })
  const all = [
    ...violations.map(({ kind, serialNumber, detail }) => ({ kind, serial_number: serialNumber, detail })),
    ...others,
    ...stats.faults.map((detail) => ({ kind: 'simulator', serial_number: null, detail })),
  ]
  const parts = [counts]
  if (refused.length > 0) {
    const rows = refused.map(([reason, devices]) => ({ reason, devices }))
    parts.push(`\nRefused enrollments:\n${formatTable(rows)}`)
  }
  parts.push(`\n${describeBreaches(all)}`)
  return { text: parts.join(''), ok: all.length === 0 && refused.length === 0 }
}

/** The breaches as a table, the first ones of many. */
export function describeBreaches(all: readonly Breach[]): string {
  if (all.length === 0) return 'No violation of the protocol.\n'
  const more = all.length > SHOWN ? `... and ${all.length - SHOWN} more\n` : ''
  return `${all.length} violations of the protocol:\n${formatTable(all.slice(0, SHOWN))}${more}`
}

function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? null
}

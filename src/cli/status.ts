import type { ApiClient } from './client.ts'
import { formatTable } from './table.ts'
import { visibleLines } from './terminal.ts'

const DAY_MS = 86_400_000
/** Certificates and tokens are renewed by hand and by people who are on holiday. */
const SOON_DAYS = 30
/** Syncs run every six hours. */
const STALE_MS = DAY_MS
const ATTEMPTS_LOOKED_AT = '1000'

interface Status {
  version: string
  devices: Record<string, number>
  ade_devices: Record<string, number>
  assignments: Record<string, number>
  commands: Record<string, number>
}
interface PushCertificate {
  topic: string
  not_after: string
  in_use: boolean
  rejected_reason: string | null
}
interface AdeServer {
  name: string
  has_token: boolean
  token_expires_at: string | null
  what_to_do: string | null
  sync: { last: { state: string; started_at: string; error: string | null } | null }
}
interface Attempt {
  outcome: string
  reason: string | null
  last_refusal: { reason: string } | null
}

/** What `firstboot status` shows: how the server is, and what a person has to do. */
interface StatusReport extends Status {
  push_certificate: PushCertificate | null
  ade_servers: AdeServer[]
  /** Attempts of the last 24 hours that were refused, by their last reason; of very many the newest. */
  refused: Record<string, number>
  /** What is wrong, in sentences. */
  problems: string[]
}

/** Asks the server for everything that tells how it is. */
export async function readStatus(api: ApiClient, now: Date): Promise<StatusReport> {
  const get = (path: string, query: Record<string, string> = {}) => api({ method: 'GET', path, query })
  const since = new Date(now.getTime() - DAY_MS).toISOString()
  const [counts, certificates, servers, attempts] = (await Promise.all([
    get('/status'),
    get('/push-certificates'),
    get('/ade-servers'),
    get('/enrollment-attempts', { since, limit: ATTEMPTS_LOOKED_AT }),
  ])) as [Status, { items: PushCertificate[] }, { items: AdeServer[] }, { items: Attempt[] }]
  const refused: Record<string, number> = {}
  for (const attempt of attempts.items) {
    const reason =
      attempt.outcome === 'enrolled' ? undefined : (attempt.last_refusal?.reason ?? attempt.reason)
    if (reason != null) refused[reason] = (refused[reason] ?? 0) + 1
  }
  const certificate = certificates.items.find((item) => item.in_use) ?? null
  return {
    ...counts,
    push_certificate: certificate,
    ade_servers: servers.items,
    refused,
    problems: [
      ...problemsOfCertificate(certificate, now),
      ...servers.items.flatMap((server) => problemsOfServer(server, now)),
      ...problemsOfAssignments(counts.assignments),
    ],
  }
}

function problemsOfCertificate(certificate: PushCertificate | null, now: Date): string[] {
  if (certificate === null) {
    return ['There is no push certificate, so no device can enrol: firstboot push-certificates put <file>...']
  }
  const problems = expiry('The push certificate', certificate.not_after, now)
  if (certificate.rejected_reason !== null)
    problems.push(`Apple does not take the push certificate: ${certificate.rejected_reason}.`)
  return problems
}

function problemsOfServer(
  { name, has_token, token_expires_at, what_to_do, sync }: AdeServer,
  now: Date,
): string[] {
  const which = `ADE server ${name}`
  if (!has_token)
    return [`${which} has no server token: firstboot ade-servers token ${name} <file> --apple-id <id>`]
  const problems = token_expires_at === null ? [] : expiry(`The token of ${which}`, token_expires_at, now)
  const { last } = sync
  if (what_to_do !== null) problems.push(`${which}: ${what_to_do}`)
  else if (last !== null && (last.state === 'failed' || last.state === 'timed_out'))
    problems.push(
      `The last sync of ${which} has ${last.state.replace('_', ' ')}: ${last.error ?? 'no reason is known'}.`,
    )
  if (last !== null && now.getTime() - Date.parse(last.started_at) > STALE_MS)
    problems.push(`${which} has not been synced for more than a day.`)
  return problems
}

function problemsOfAssignments({ failed = 0, throttled = 0 }: Record<string, number>): string[] {
  return [
    ...(failed > 0
      ? [`Apple refuses the policy of ${failed} serial numbers: firstboot ade-devices list`]
      : []),
    ...(throttled > 0 ? [`Apple makes ${throttled} serial numbers wait for their policy.`] : []),
  ]
}

function expiry(what: string, at: string, now: Date): string[] {
  const days = Math.floor((Date.parse(at) - now.getTime()) / DAY_MS)
  if (days < 0) return [`${what} has expired on ${at.slice(0, 10)}.`]
  return days < SOON_DAYS ? [`${what} expires in ${days} days, on ${at.slice(0, 10)}.`] : []
}

/** The report for people. */
export function formatStatus(report: StatusReport, url: string, columns?: number): string {
  const { push_certificate: certificate, ade_servers: servers } = report
  const rows = [
    ['server', `Firstboot ${report.version} at ${url}`],
    ['push certificate', certificate && `${certificate.topic}, until ${certificate.not_after.slice(0, 10)}`],
    ...servers.map((server) => [
      'ADE server',
      `${server.name}, token until ${server.token_expires_at?.slice(0, 10) ?? '-'}, last sync ${server.sync.last?.state ?? '-'}`,
    ]),
    ['devices', listed(report.devices)],
    ['serial numbers', listed(report.ade_devices)],
    ['commands', listed(report.commands)],
    ['refused in 24 h', listed(report.refused)],
  ].map(([name, value]) => ({ name, value }))
  const table = formatTable(rows, undefined, columns).replace(/^.*\n/, '')
  const wrong = report.problems.map((problem) => `  ${problem}\n`).join('')
  return table + visibleLines(wrong === '' ? '\nNothing is wrong.\n' : `\nWhat needs you:\n${wrong}`)
}

function listed(counts: Record<string, number>): string | null {
  const parts = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${state}`)
  return parts.length === 0 ? null : parts.join(', ')
}

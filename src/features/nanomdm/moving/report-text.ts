import type { MoveReport } from './move.ts'

/** Lines of each list that a person is shown; all of them are in the JSON. */
const MOST_LINES = 50
const DEVICES: Record<keyof MoveReport['devices'], string> = {
  moved: 'moved in',
  updated: 'brought up to date',
  unchanged: 'the same as before',
  spoken_here: 'have spoken here since they moved: left as they are',
  enrolled_here: 'have enrolled here: left as they are',
  left_here: 'have left here since: left as they are',
  not_enrolled_there: 'are not enrolled there',
  failed: 'could not be moved',
}

/** A report for people. */
export function reportText(report: MoveReport, { dryRun, cas }: { dryRun: boolean; cas: number }): string {
  const devices = Object.entries(DEVICES).map(
    ([name, words]) => `${String(report.devices[name as keyof typeof DEVICES]).padStart(8)} ${words}`,
  )
  const untrusted = report.certificates.filter(({ trusted }) => !trusted)
  return [
    dryRun ? 'Nothing was changed. This is what would be done:' : 'Done:',
    'Devices:',
    ...devices,
    `${String(report.users).padStart(8)} users of theirs`,
    `${String(report.awaiting_certificate).padStart(8)} without a known certificate: the first one of a trusted CA becomes theirs`,
    trustedText({ dryRun, cas }).trimEnd(),
    ...report.push_certificates.map(
      ({ topic, state, problem }) =>
        `Push certificate ${topic}: ${state}${problem === undefined ? '' : `: ${problem}`}`,
    ),
    ...listed(
      'Certificates of devices that no trusted CA has issued; name it with --ca, or these devices will be refused:',
      untrusted.map(({ device_id, serial_number }) => `${device_id} ${serial_number ?? ''}`),
    ),
    ...listed(
      'Certificates by their end:',
      report.certificates.map(
        ({ not_after, device_id, serial_number }) => `${not_after} ${device_id} ${serial_number ?? ''}`,
      ),
    ),
    ...listed('Named in --only, and no device there:', report.unknown),
    ...listed(
      'Problems:',
      report.problems.map(({ device_id, problem }) => `${device_id}: ${problem}`),
    ),
    '',
  ].join('\n')
}

/** How many CAs are trusted now that were not, or would be. */
export function trustedText({ dryRun, cas }: { dryRun: boolean; cas: number }): string {
  return `CAs that ${dryRun ? 'would be' : 'are'} newly trusted: ${cas}\n`
}

function listed(title: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return []
  const more = lines.length - MOST_LINES
  return [
    title,
    ...lines.slice(0, MOST_LINES).map((line) => `  ${line.trimEnd()}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ]
}

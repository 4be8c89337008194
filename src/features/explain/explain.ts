import { attemptOfUdid, enrollmentsMeant } from '../../db/statements/explain-finding.ts'
import { serialNumberOf } from '../../kernel/serial-number.ts'
import type { Devices, Enrollment } from '../devices/index.ts'
import { createMatches, type Match, type MatchDeps } from './matches.ts'

/** Things that one text may mean: many devices may have names that begin so. */
const MOST_MATCHES = 20

type ExplainDeps = MatchDeps & { devices: Pick<Devices, 'findEnrollments'> }

/** Why things are as they are. */
export type Explain = ReturnType<typeof createExplain>

/** Finds what a text means, and says of each thing why it is as it is. */
export function createExplain(deps: ExplainDeps) {
  const { db, attempts, devices } = deps
  const queries = db.kysely
  const matches = createMatches(deps)

  async function devicesMeant(text: string): Promise<Enrollment[]> {
    const ids = await enrollmentsMeant(queries, text, MOST_MATCHES)
    const rows = await devices.findEnrollments(queries, ids)
    return withoutFormer(
      ids.flatMap((id) => rows.get(id) ?? []),
      text,
    )
  }

  /** A phone that was powered on with this UDID and has not enrolled. */
  async function ofUdid(udid: string): Promise<Match | undefined> {
    const id = await attemptOfUdid(queries, udid)
    const attempt = id === undefined ? undefined : await attempts.get(id)
    if (attempt === undefined) return undefined
    const serial = attempt.serial_number
    return (serial === null ? undefined : await matches.ofSerial(serial)) ?? matches.ofAttempt(attempt)
  }

  return {
    /** All that a text may mean, the surest first; nothing where nothing is known by it. */
    async explain(given: string): Promise<Match[]> {
      const text = given.trim()
      const serial = serialNumberOf(text)
      const [attempt, command, meant, user] = await Promise.all([
        attempts.get(text),
        matches.ofCommand(text),
        devicesMeant(text),
        matches.ofUser(text),
      ])
      const isKnown = serial === undefined || meant.some((row) => row.serial_number === serial)
      const found = [
        attempt && (await matches.ofAttempt(attempt)),
        command,
        isKnown ? undefined : await matches.ofSerial(serial),
        ...(await Promise.all(meant.map(matches.ofDevice))),
        user,
      ].filter((match) => match !== undefined)
      const other = found.length > 0 ? undefined : await ofUdid(text)
      return other === undefined ? found : [other]
    },
  }
}

/** Of the enrollments of one serial number those that are alive, else the last one; one that was asked for by its id stays. */
function withoutFormer(found: readonly Enrollment[], text: string): Enrollment[] {
  const serial = serialNumberOf(text)
  const ofSerial = found.filter(
    (row) => row.serial_number === serial && row.id.toLowerCase() !== text.toLowerCase(),
  )
  const former = ofSerial
    .filter((row) => row.unenrolled_at !== null)
    .toSorted((a, b) => (b.unenrolled_at?.getTime() ?? 0) - (a.unenrolled_at?.getTime() ?? 0))
  const left = new Set(former.length < ofSerial.length ? former : former.slice(1))
  return found.filter((row) => !left.has(row))
}

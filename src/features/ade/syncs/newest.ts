import { addTime } from '../../../kernel/clock.ts'
import type { AdeDevice } from '../../../protocol/ade/index.ts'

/** How far Apple's clock may be ahead of ours. */
const AHEAD_DAYS = 1

/**
 * One record for each serial number: that with the greatest `op_date`, the later one of equals and where one has none. A
 * date that has not come counts as absent: it would outdo every later record.
 */
export function newestRecords(records: readonly AdeDevice[], asOf: Date): AdeDevice[] {
  const latest = addTime(asOf, AHEAD_DAYS, 'day')
  const past = (date: Date | undefined) => (date !== undefined && date <= latest ? date : undefined)
  const newest = new Map<string, AdeDevice>()
  for (const given of records) {
    const record = { ...given, opDate: past(given.opDate), assignedAt: past(given.assignedAt) }
    const known = newest.get(record.serialNumber)
    const isOlder = known !== undefined && timeOf(record) < timeOf(known)
    if (!isOlder) newest.set(record.serialNumber, record)
  }
  return [...newest.values()]
}

/** NaN, which is neither older nor newer, when the record does not say. */
function timeOf({ opDate, opType, assignedAt }: AdeDevice): number {
  const isArrival = opType === undefined || opType === 'added'
  return (opDate ?? (isArrival ? assignedAt : undefined))?.getTime() ?? NaN
}

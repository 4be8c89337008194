import type { AdeDevice } from '../../../protocol/ade/index.ts'

/** One record for each serial number: that with the greatest `op_date`, the later one of equals. */
export function newestRecords(records: readonly AdeDevice[]): AdeDevice[] {
  const newest = new Map<string, AdeDevice>()
  for (const record of records) {
    const known = newest.get(record.serialNumber)
    if (known === undefined || timeOf(record) >= timeOf(known)) newest.set(record.serialNumber, record)
  }
  return [...newest.values()]
}

function timeOf({ opDate, assignedAt }: AdeDevice): number {
  return (opDate ?? assignedAt)?.getTime() ?? 0
}

import type { Tx } from '../../db/index.ts'
import { serialsOf } from '../../db/statements/uses.ts'
import type { NewEvent } from './types.ts'

/** Devices whose serial numbers are remembered. */
const REMEMBERED = 20_000

/** Makes what puts serial numbers to facts about devices, so that a search for one finds every line. */
export function createSerials() {
  const known = new Map<string, string>()

  function learn(id: string, serial: string): void {
    if (known.get(id) === serial) return
    known.delete(id)
    known.set(id, serial)
    if (known.size > REMEMBERED) known.delete(known.keys().next().value!)
  }

  /** The fact with the serial number of its device, where that is known here. */
  function add(event: NewEvent): NewEvent {
    const { enrollment_id: id, serial_number: serial } = event
    if (typeof id !== 'string') return event
    if (typeof serial === 'string') learn(id, serial)
    const found = serial ?? known.get(id)
    return found === undefined || found === serial ? event : { ...event, serial_number: found }
  }

  return {
    add,
    /** The same for facts that are being written, and asks for what is not known here. */
    async addAll(trx: Tx, events: readonly NewEvent[]): Promise<NewEvent[]> {
      const told = events.map(add)
      const unknown = told.flatMap(({ enrollment_id: id, serial_number: serial }) =>
        typeof id === 'string' && typeof serial !== 'string' ? [id] : [],
      )
      if (unknown.length === 0) return told
      for (const [id, serial] of await serialsOf(trx, unknown)) learn(id, serial)
      return told.map(add)
    },
  }
}

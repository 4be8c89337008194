import type { Tx } from '../../../db/index.ts'
import type { Reader } from '../deps.ts'
import * as store from './store.ts'

/** What power-on asks and tells, for many devices in one statement, and who uses a policy. */
export function createContacts() {
  return {
    /** The addresses with these keys, by key. */
    async findKeys(reader: Reader, keys: readonly string[]): Promise<Map<string, store.AddressKey>> {
      return new Map((await store.findKeys(reader, keys)).map((found) => [found.key, found]))
    },
    /** What is known of these serial numbers, by serial number. */
    async findAssignments(
      reader: Reader,
      serials: readonly string[],
    ): Promise<Map<string, store.Assignment>> {
      const found = await store.findAssignments(reader, serials)
      return new Map(found.map((assignment) => [assignment.serial_number, assignment]))
    },
    /** The names of the servers that give their new devices this policy. */
    serversDefaultingTo: (trx: Tx, policyId: string): Promise<string[]> =>
      store.serversDefaultingTo(trx, policyId),
  }
}

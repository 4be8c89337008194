import { afterCommit, createGroupCommit, type Db } from '../../../db/index.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { Attempts, Contact } from '../../attempts/index.ts'
import type { DeviceIdentity } from '../../device-identity/index.ts'
import type { Events } from '../../events/index.ts'
import { lockSerials, writeContacts } from './store.ts'

/** What is to be written of a contact. */
export interface Entry {
  contact: Contact
  /** Whether Apple has assigned the serial number to us, and the device is believed to be that one. */
  isOurs: boolean
  /** Whether the device gets its profile. */
  isGranted: boolean
}

/** The attempt of the contact, and the challenge for the profile when there is one. */
export interface Recorded {
  attemptId: string
  challenge: string | null
}

const MAX_BATCH = 64
const LANES = 1

export interface RecordDeps {
  db: Db
  clock: Clock
  events: Pick<Events, 'announce'>
  attempts: Pick<Attempts, 'planContacts'>
  identity: Pick<DeviceIdentity, 'makeChallenges'>
}

/**
 * Makes the writer: contacts at the same time share one transaction, each serial number once. Two contacts of a device,
 * on any number of processes, are written one after the other, so that one attempt of it is open at most.
 */
export function createRecorder({ db, clock, events, attempts, identity }: RecordDeps) {
  function write(entries: Entry[]): Promise<Recorded[]> {
    return db.transaction(async (trx) => {
      const serialsOf = (some: Entry[]) => some.map(({ contact }) => contact.attempt.serial_number)
      await lockSerials(trx, serialsOf(entries))
      const plan = await attempts.planContacts(
        trx,
        entries.map(({ contact }) => contact),
      )
      const granted = entries.flatMap(({ contact, isGranted }, at) => {
        const { serial_number, udid } = contact.attempt
        return isGranted ? [{ attemptId: plan.ids[at] ?? '', serial_number, ...(udid && { udid }) }] : []
      })
      const { secrets, rows: challenges } = identity.makeChallenges(granted)
      const ours = serialsOf(entries.filter(({ isOurs }) => isOurs))
      await writeContacts(trx, { plan, ours, challenges }, clock.now())
      afterCommit(trx, () => plan.events.forEach(events.announce))
      const given = new Map(granted.map(({ attemptId }, at) => [attemptId, secrets[at]]))
      return plan.ids.map((id) => ({ attemptId: id, challenge: given.get(id) ?? null }))
    })
  }

  const batches = createGroupCommit<Entry, Recorded>({
    key: ({ contact }) => contact.attempt.serial_number,
    run: write,
    maxBatch: MAX_BATCH,
    lanes: LANES,
  })
  return (entry: Entry): Promise<Recorded> => batches.submit(entry)
}

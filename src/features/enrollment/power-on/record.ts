import { createGroupCommit, type Db } from '../../../db/index.ts'
import type { Ade } from '../../ade/index.ts'
import type { Attempts, Contact } from '../../attempts/index.ts'
import type { DeviceIdentity } from '../../device-identity/index.ts'
import { lockSerials } from './store.ts'

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
  ade: Pick<Ade, 'noteContacts'>
  attempts: Pick<Attempts, 'contact'>
  identity: Pick<DeviceIdentity, 'newChallenges' | 'voidChallenges'>
}

/**
 * Makes the writer: contacts at the same time share one transaction, each serial number once. Two contacts of a device,
 * on any number of processes, are written one after the other, so that one attempt of it is open at most.
 */
export function createRecorder({ db, ade, attempts, identity }: RecordDeps) {
  function write(entries: Entry[]): Promise<Recorded[]> {
    return db.transaction(async (trx) => {
      const serialsOf = (some: Entry[]) => some.map(({ contact }) => contact.attempt.serial_number)
      await lockSerials(trx, serialsOf(entries))
      const outcomes = await attempts.contact(
        trx,
        entries.map(({ contact }) => contact),
      )
      const abandoned = outcomes.flatMap((outcome) => outcome.abandoned)
      if (abandoned.length > 0) await identity.voidChallenges(trx, ...abandoned)
      const ours = serialsOf(entries.filter(({ isOurs }) => isOurs))
      if (ours.length > 0) await ade.noteContacts(trx, ours)
      const granted = entries.flatMap(({ contact, isGranted }, at) => {
        const { serial_number, udid } = contact.attempt
        const attemptId = outcomes[at]?.id ?? ''
        return isGranted ? [{ attemptId, serial_number, ...(udid && { udid }) }] : []
      })
      const secrets = await identity.newChallenges(trx, granted)
      const challenges = new Map(granted.map(({ attemptId }, at) => [attemptId, secrets[at]]))
      return outcomes.map(({ id }) => ({ attemptId: id, challenge: challenges.get(id) ?? null }))
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

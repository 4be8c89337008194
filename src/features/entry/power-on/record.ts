import { createGroupCommit, type Db } from '../../../db/index.ts'
import {
  lookUp,
  LOOK_UPS_AT_ONCE,
  VISITS_AT_ONCE,
  writeContacts,
  type Assignment,
  type Question,
  type Writing,
} from '../../../db/statements/power-on.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { AppError } from '../../../kernel/errors.ts'
import type { Attempts, Contact, ContactPlan, OpenAttempt, RecentContact } from '../../attempts/index.ts'
import type { DeviceIdentity } from '../../device-identity/index.ts'
import { adeWithDefaults, type Policy } from '../../enrollment-policies/index.ts'
import type { Events } from '../../events/index.ts'

const LANES = 1

/** The policy of an address. */
export type EntryPolicy = Omit<Policy, 'created_at' | 'updated_at'>

/** What is known here of a device that has come. */
export interface Known {
  /** Undefined for an address that is not ours. */
  policy: EntryPolicy | undefined
  adeServerId: string | undefined
  assignment: Assignment | undefined
  /** The attempt that the device has in progress. */
  open: OpenAttempt | undefined
  /** The attempt in which it said the same within the last hour. */
  recent: RecentContact | undefined
  /** Whether the same words have opened an enrollment that is alive. */
  isReplayed: boolean
  /** Of the push certificate in use; null without a valid one. */
  topic: string | null
}

interface KnownDeps {
  db: Db
  clock: Clock
}

/** The look-up: devices that come at the same time are looked up together, by one statement for all of them. */
export function createKnown({ db, clock }: KnownDeps) {
  let count = 0

  async function look(questions: Question[]): Promise<Known[]> {
    const found = await lookUp(db, questions, clock.now())
    const policies = new Map(
      found.flatMap(({ policy }) =>
        policy ? [[policy.id, { ...policy, ade: adeWithDefaults(policy.ade) }]] : [],
      ),
    )
    return found.map(
      ({
        address_policy_id,
        address_server_id,
        is_known,
        open,
        recent,
        is_replayed,
        topic,
        ...assignment
      }) => ({
        policy: policies.get(address_policy_id ?? ''),
        adeServerId: address_server_id ?? undefined,
        assignment: is_known ? assignment : undefined,
        open: open ?? undefined,
        recent: recent ?? undefined,
        isReplayed: is_replayed,
        topic,
      }),
    )
  }

  const batches = createGroupCommit<Question & { id: number }, Known>({
    key: ({ id }) => String(id),
    run: look,
    maxBatch: LOOK_UPS_AT_ONCE,
    lanes: LANES,
  })
  return (question: Question): Promise<Known> => batches.submit({ id: count++, ...question })
}

/** What is to be written of a contact. */
interface Entry {
  contact: Contact
  /** The attempt that the device had in progress when that was looked at. */
  open: OpenAttempt | undefined
  /** The attempt in which it said the same within the last hour. */
  recent: RecentContact | undefined
  /** Whether Apple has assigned the serial number to us, and the device is believed to be that one. */
  isOurs: boolean
  /** The UDID of a device that is known to be the one with its serial number: any other UDID of that is of the past. */
  provenUdid?: string | undefined
  /** Whether the device gets its profile. */
  isGranted: boolean
}

/** The attempt of the contact, and the challenge for the profile when there is one. */
export interface Recorded {
  attemptId: string
  challenge: string | null
}

/** Each failed try means that another contact of the same device came first, in another process but for the first one. */
const MAX_TRIES = 20

export interface RecordDeps extends KnownDeps {
  events: Pick<Events, 'announce'>
  attempts: Pick<Attempts, 'planContact'>
  identity: Pick<DeviceIdentity, 'makeChallenges'>
}

/**
 * The writer; `lookAgain` gives the attempts of a device as they are now. Contacts at the same time share one
 * statement, each serial number once. What a contact comes to is decided by the attempt that was in progress before; when
 * another contact of the device, here or in another process, has changed that meanwhile, it is decided again. Contacts of
 * one device here take turns until they are written, so that any number of them at once are written in their order.
 */
export function createRecorder(
  { db, clock, events, attempts, identity }: RecordDeps,
  lookAgain: (question: {
    serial: string
    machineInfoHash: string
  }) => Promise<Pick<Entry, 'open' | 'recent'>>,
) {
  async function write(entries: Entry[]): Promise<(Recorded | undefined)[]> {
    const made = entries.map((entry) => prepare(entry))
    const holds = await writeContacts(db, made, clock.now())
    return made.map(({ plan, secret }, n) => {
      if (holds[n] !== true) return undefined
      plan.events.forEach(events.announce)
      return { attemptId: plan.id, challenge: secret ?? null }
    })
  }

  function prepare(entry: Entry): Writing & { plan: ContactPlan; secret?: string } {
    const { contact, open, recent, isOurs, provenUdid, isGranted } = entry
    const plan = attempts.planContact(contact, open, recent)
    const writing = { plan, isOurs, provenUdid }
    if (!isGranted) return writing
    const { serial_number, udid } = contact.attempt
    const { user_id: id, user_name: name } = contact.facts ?? {}
    const user = id !== undefined && name !== undefined ? { id, name } : undefined
    const purpose = { attemptId: plan.id, serial_number, ...(udid && { udid }), user }
    const { secrets, rows } = identity.makeChallenges([purpose])
    const [secret, challenge] = [secrets[0], rows[0]]
    return { ...writing, ...(secret && challenge && { secret, challenge }) }
  }

  const batches = createGroupCommit<Entry, Recorded | undefined>({
    key: serialOf,
    run: write,
    maxBatch: VISITS_AT_ONCE,
    lanes: LANES,
  })

  async function record(entry: Entry): Promise<Recorded> {
    let { open, recent } = entry
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const recorded = await batches.submit({ ...entry, open, recent })
      if (recorded !== undefined) return recorded
      const { machineInfoHash } = entry.contact
      ;({ open, recent } = await lookAgain({ serial: serialOf(entry), machineInfoHash }))
    }
    throw new AppError('overloaded', 'The device has too many contacts at once.')
  }

  const turns = createGroupCommit<Entry, Recorded>({
    key: serialOf,
    run: (entries) => Promise.all(entries.map(record)),
    maxBatch: 1,
    lanes: Number.POSITIVE_INFINITY,
  })
  return (entry: Entry): Promise<Recorded> => turns.submit(entry)
}

function serialOf({ contact }: Entry): string {
  return contact.attempt.serial_number
}

import { createGroupCommit, type Db } from '../../../db/index.ts'
import type { Ade, Assignment } from '../../ade/index.ts'
import type { Attempts, OpenAttempt } from '../../attempts/index.ts'
import type { EnrollmentPolicies, Policy } from '../../enrollment-policies/index.ts'
import type { Push } from '../../push/index.ts'

/** What is known here of a device that has come. */
export interface Known {
  /** Undefined for an address that is not ours. */
  policy: Policy | undefined
  adeServerId: string | undefined
  assignment: Assignment | undefined
  /** The attempt that the device has in progress. */
  open: OpenAttempt | undefined
  /** Of the push certificate in use; null without a valid one. */
  topic: string | null
}

/** What is asked: the key of the address, and the serial number that the device gave. */
interface Question {
  id: number
  key: string
  serial: string
}

const MAX_BATCH = 128
const LANES = 1

export interface KnownDeps {
  db: Db
  ade: Pick<Ade, 'findKeys' | 'findAssignments'>
  attempts: Pick<Attempts, 'findOpenOf'>
  policies: Pick<EnrollmentPolicies, 'find'>
  push: { certificates: Pick<Push['certificates'], 'current'> }
}

/** Makes the look-up: devices that come at the same time are looked up together, in a few statements for all of them. */
export function createKnown({ db, ade, attempts, policies, push }: KnownDeps) {
  let count = 0

  async function look(questions: Question[]): Promise<Known[]> {
    const unique = (texts: string[]) => [...new Set(texts)]
    const serials = unique(questions.map(({ serial }) => serial))
    const [keys, assignments, open, current] = await Promise.all([
      ade.findKeys(db.kysely, unique(questions.map(({ key }) => key))),
      ade.findAssignments(db.kysely, serials),
      attempts.findOpenOf(db.kysely, serials),
      push.certificates.current(),
    ])
    const ids = unique([...keys.values()].map(({ policyId }) => policyId))
    const found = new Map<string, Policy>()
    for (const id of ids) {
      const policy = await policies.find(db.kysely, id)
      if (policy !== undefined) found.set(id, policy)
    }
    const topic = current?.topic ?? null
    return questions.map(({ key, serial }) => {
      const address = keys.get(key)
      return {
        policy: address && found.get(address.policyId),
        adeServerId: address?.adeServerId,
        assignment: assignments.get(serial),
        open: open.get(serial),
        topic,
      }
    })
  }

  const batches = createGroupCommit<Question, Known>({
    key: ({ id }) => String(id),
    run: look,
    maxBatch: MAX_BATCH,
    lanes: LANES,
  })
  return (key: string, serial: string): Promise<Known> => batches.submit({ id: count++, key, serial })
}

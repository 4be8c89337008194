import { createGroupCommit, type Db } from '../../../db/index.ts'
import { lookUp, type Assignment, type Question, LOOK_UPS_AT_ONCE } from '../../../db/statements/power-on.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { OpenAttempt, RecentContact } from '../../attempts/index.ts'
import { adeWithDefaults, type Policy } from '../../enrollment-policies/index.ts'

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

const LANES = 1

export interface KnownDeps {
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

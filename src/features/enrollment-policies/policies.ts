import { type Db, type Queries, type Tx, isUniqueViolation } from '../../db/index.ts'
import { serialNumbersWith, serversGiving } from '../../db/statements/uses.ts'
import type { Act } from '../../kernel/act.ts'
import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { newId } from '../../kernel/ids.ts'
import { type Page, decodeCursor, page } from '../../kernel/paging.ts'
import type { Events } from '../events/index.ts'
import type { Groups } from '../groups/index.ts'
import { checkNameTemplate, differences, patched, problemsOf, refuse, tidy } from './document.ts'
import { type SignInSources, createReferences } from './references.ts'
import {
  deletePolicy,
  findPolicy,
  holdPolicy,
  insertPolicy,
  listPolicies,
  lockPolicy,
  updatePolicy,
} from './store.ts'
import type { Policy, PolicyFields } from './schema.ts'

/** What the policies are made of. */
type PoliciesDeps = {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  groups: Pick<Groups, 'deletePolicyGroup' | 'ensurePolicyGroup' | 'hold' | 'renamePolicyGroup'>
  signin: SignInSources
}

/** The door of the policies. */
export type EnrollmentPolicies = ReturnType<typeof createEnrollmentPolicies>

/** What administrators want of new devices; every change is told as an event. */
export function createEnrollmentPolicies(deps: PoliciesDeps) {
  const { db, clock, events, groups } = deps
  const references = createReferences(deps)

  async function checked(trx: Tx, document: unknown): Promise<PolicyFields> {
    refuse([...problemsOf(document), ...(await references.problemsOf(trx, document))])
    const fields = tidy(document)
    checkNameTemplate(fields)
    return fields
  }

  async function create(body: unknown, act: Act): Promise<Policy> {
    const now = clock.now()
    return db.transaction(async (trx) => {
      const fields = await checked(trx, patched(undefined, body))
      const policy = await insertPolicy(trx, newId(now), fields, now)
      if (policy === undefined) throw taken()
      await groups.ensurePolicyGroup(trx, policy, act)
      await events.emit(trx, { type: 'policy.created', act, data: about(policy) })
      return policy
    })
  }

  async function update(id: string, patch: unknown, act: Act): Promise<Policy> {
    try {
      return await db.transaction(async (trx) => {
        const policy = (await lockPolicy(trx, id)) ?? missing()
        act.checkVersion(policy.version)
        const before = fieldsOf(policy)
        const fields = await checked(trx, patched(before, patch))
        const changed = differences(before, fields)
        if (changed.length === 0) return policy
        // Switched off, it would take its devices out of management at Apple.
        if (before.ade.enabled && !fields.ade.enabled) await refuseIfUsed(trx, id)
        const after = await updatePolicy(trx, id, fields, clock.now())
        await groups.renamePolicyGroup(trx, after, act)
        await events.emit(trx, { type: 'policy.updated', act, data: { ...about(after), changed } })
        return after
      })
    } catch (error) {
      throw isUniqueViolation(error) ? taken() : error
    }
  }

  async function remove(id: string, act: Act): Promise<void> {
    await db.transaction(async (trx) => {
      const policy = (await lockPolicy(trx, id)) ?? missing()
      act.checkVersion(policy.version)
      await refuseIfUsed(trx, id)
      await groups.deletePolicyGroup(trx, id, act)
      await deletePolicy(trx, id)
      await events.emit(trx, { type: 'policy.deleted', act, data: about(policy) })
    })
  }

  return {
    /** Makes a policy of what an administrator wrote; only `name` is needed. Throws AppError `invalid_request`, `template_invalid`, `conflict`. */
    create,
    /**
     * Changes a policy by a JSON merge patch. Throws AppError `not_found`, `precondition_failed`, `conflict` where `ade.enabled` of one in
     * use is to become false, and as making one does.
     */
    update,
    /** Deletes a policy with its group. Throws AppError `not_found`, `precondition_failed` and, when in use, `conflict`. */
    remove,
    /** The policy with this id, if there is one. */
    find: (executor: Queries, id: string): Promise<Policy | undefined> => findPolicy(executor, id),
    /**
     * A policy that devices may be given, kept as it is until the transaction ends. Throws AppError `policy_not_for_ade`;
     * undefined: there is none.
     */
    async holdForAde(trx: Tx, id: string): Promise<Policy | undefined> {
      const policy = await holdPolicy(trx, id)
      if (policy?.ade.enabled === false) {
        throw new AppError(
          'policy_not_for_ade',
          `The enrollment policy "${policy.name}" is not for automated enrollment: set ade.enabled of it to true first.`,
        )
      }
      return policy
    },
    /** Throws AppError `not_found`. */
    async get(id: string): Promise<Policy> {
      return (await findPolicy(db.kysely, id)) ?? missing()
    },
    async list(query: { limit: number; cursor?: string; name?: string }): Promise<Page<Policy>> {
      const [after] = decodeCursor(query.cursor, ['string']) ?? []
      const rows = await listPolicies(db.kysely, { limit: query.limit + 1, after, name: query.name })
      return page(rows, query.limit, (row) => [row.name])
    },
  }
}

async function refuseIfUsed(trx: Tx, id: string): Promise<void> {
  const devices = await serialNumbersWith(trx, id)
  if (devices > 0) {
    throw new AppError('conflict', `${devices} devices have this policy; give them another one first.`)
  }
  const servers = await serversGiving(trx, id)
  if (servers.length === 0) return
  const names = servers.map((name) => `"${name}"`).join(', ')
  throw new AppError('conflict', `New devices of ${names} get this policy; choose another default first.`)
}

function fieldsOf(policy: Policy): PolicyFields {
  const { name, description, user_affinity, sign_in_source_id, group_id, device_name_template, ade } = policy
  return { name, description, user_affinity, sign_in_source_id, group_id, device_name_template, ade }
}

/** What an event says of a policy. */
function about({ id, name }: Policy) {
  return { policy_id: id, name }
}

function missing(): never {
  throw new AppError('not_found', 'There is no enrollment policy with this id.')
}

function taken(): AppError {
  return new AppError('conflict', 'There is an enrollment policy with this name already.', {
    fields: [{ path: 'name', message: 'is taken' }],
  })
}

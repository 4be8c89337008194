import { type Db, type Queries, type Tx, isUniqueViolation } from '../../db/index.ts'
import { policiesNaming } from '../../db/statements/uses.ts'
import type { Act } from '../../kernel/act.ts'
import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { newId } from '../../kernel/ids.ts'
import { type Page, decodeCursor, page } from '../../kernel/paging.ts'
import type { Devices } from '../devices/index.ts'
import type { Events } from '../events/index.ts'
import { createMembers } from './members.ts'
import { createPolicyGroups, isPolicyGroupName } from './policy-groups.ts'
import {
  type Group,
  type GroupQuery,
  countMembers,
  deleteGroup,
  findGroup,
  holdGroup,
  insertGroup,
  listGroups,
  lockGroup,
  lockGroupToDelete,
  updateGroup,
} from './store.ts'
import type { GroupView } from './types.ts'

/** What the groups are made of. */
type GroupsDeps = {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  devices: Pick<Devices, 'countByPolicy' | 'findDeviceNames' | 'listByPolicy'>
}

/** Sets of devices. */
export type Groups = ReturnType<typeof createGroups>

/** The groups, static ones and those of policies; every change is told as an event. */
export function createGroups(deps: GroupsDeps) {
  const { db, clock, events, devices } = deps

  async function create(name: string, act: Act): Promise<GroupView> {
    checkName(name)
    const now = clock.now()
    return db.transaction(async (trx) => {
      const group = await insertGroup(trx, { id: newId(now), name, kind: 'static', policy_id: null }, now)
      if (group === undefined) throw taken()
      await events.emit(trx, { type: 'group.created', act, data: about(group) })
      return { ...group, member_count: 0 }
    })
  }

  async function rename(id: string, name: string | undefined, act: Act): Promise<GroupView> {
    try {
      const group = await db.transaction(async (trx) => {
        const before = await lockStatic(trx, id, act)
        if (name === undefined || name === before.name) return before
        checkName(name)
        const after = await updateGroup(trx, id, { name }, clock.now())
        await events.emit(trx, { type: 'group.updated', act, data: { ...about(after), changed: ['name'] } })
        return after
      })
      return await view(group)
    } catch (error) {
      throw isUniqueViolation(error) ? taken() : error
    }
  }

  async function remove(id: string, act: Act): Promise<void> {
    await db.transaction(async (trx) => {
      const group = checkStatic(await lockGroupToDelete(trx, id), act)
      refuseIfNamed(await policiesNaming(trx, 'group_id', id))
      await deleteGroup(trx, id)
      await events.emit(trx, { type: 'group.deleted', act, data: about(group) })
    })
  }

  async function lockStatic(trx: Tx, id: string, act: Act): Promise<Group> {
    return checkStatic(await lockGroup(trx, id), act)
  }

  async function view(group: Group): Promise<GroupView> {
    const [seen] = await views([group])
    return seen ?? { ...group, member_count: 0 }
  }

  async function views(groups: readonly Group[]): Promise<GroupView[]> {
    const policyIds = groups.flatMap(({ policy_id }) => policy_id ?? [])
    const byGroup = await countMembers(
      db.kysely,
      groups.filter(({ kind }) => kind === 'static').map(({ id }) => id),
    )
    const byPolicy = policyIds.length === 0 ? byGroup : await devices.countByPolicy(db.kysely, policyIds)
    return groups.map((group) => ({
      ...group,
      member_count: (group.policy_id === null ? byGroup.get(group.id) : byPolicy.get(group.policy_id)) ?? 0,
    }))
  }

  return {
    ...createPolicyGroups(deps),
    ...createMembers({ ...deps, lockStatic, missing }),
    create,
    rename,
    remove,
    /** The group with this id, if there is one. */
    find: (executor: Queries, id: string): Promise<Group | undefined> => findGroup(executor, id),
    /** The same, kept from being deleted until the transaction ends. */
    hold: (trx: Tx, id: string): Promise<Group | undefined> => holdGroup(trx, id),
    /** Throws AppError `not_found`. */
    async get(id: string): Promise<GroupView> {
      return view((await findGroup(db.kysely, id)) ?? missing())
    },
    async list(query: Omit<GroupQuery, 'after'> & { cursor?: string | undefined }): Promise<Page<GroupView>> {
      const { cursor, limit, ...filter } = query
      const [after] = decodeCursor(cursor, ['string']) ?? []
      const rows = await listGroups(db.kysely, {
        ...filter,
        ...(after !== undefined && { after }),
        limit: limit + 1,
      })
      const { items, next_cursor } = page(rows, limit, (row) => [row.name])
      return { items: await views(items), next_cursor }
    },
  }
}

/** What an event says of a group. */
function about({ id, name }: Group) {
  return { group_id: id, name }
}

function checkStatic(group: Group | undefined, act: Act): Group {
  if (group === undefined) return missing()
  act.checkVersion(group.version)
  if (group.kind === 'static') return group
  throw new AppError('conflict', 'This group belongs to its enrollment policy; change the policy instead.')
}

function checkName(name: string): void {
  if (!isPolicyGroupName(name)) return
  const field = { path: 'name', message: 'begins as only the names of policy groups do' }
  throw new AppError('invalid_request', `The field ${field.path} ${field.message}.`, { fields: [field] })
}

function refuseIfNamed(policies: readonly string[]): void {
  if (policies.length === 0) return
  const names = policies.map((name) => `"${name}"`).join(', ')
  throw new AppError('conflict', `Enrollment policies put their devices into this group: ${names}.`)
}

function missing(): never {
  throw new AppError('not_found', 'There is no group with this id.')
}

function taken(): AppError {
  return new AppError('conflict', 'There is a group with this name already.', {
    fields: [{ path: 'name', message: 'is taken' }],
  })
}

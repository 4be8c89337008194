import { afterCommit, type Db, type Tx } from '../../db/index.ts'
import type { Act } from '../../kernel/act.ts'
import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { type Page, decodeCursor, page } from '../../kernel/paging.ts'
import type { Devices } from '../devices/index.ts'
import type { Events } from '../events/index.ts'
import {
  type Group,
  deleteMember,
  deleteMembersExcept,
  findGroup,
  insertMembers,
  listMemberIds,
  updateGroup,
} from './store.ts'
import { noteMembers } from './membership/index.ts'
import type { MembersChanged } from './types.ts'

/** Bad ids that one answer names. */
const MAX_NAMED = 20

/** A device in a group. */
type Member = { id: string; serial_number: string | null; device_name: string | null }

type Deps = {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  devices: Pick<Devices, 'findDeviceNames'>
  lockStatic: (trx: Tx, id: string, act: Act) => Promise<Group>
  missing: () => never
  /** Has the groups follow soon. */
  wake: () => void
}

/** Ids of the devices that joined and left. */
type Edit = { added: readonly string[]; removed: readonly string[] }

/** Who is in which group, and who is to be in static ones. */
export function createMembers(deps: Deps) {
  const { db, clock, events, devices } = deps

  /** Changes the members of a static group by `write`; its next version if anything has changed. */
  function edit(groupId: string, act: Act, write: (trx: Tx) => Promise<Edit>): Promise<MembersChanged> {
    return db.transaction(async (trx) => {
      const group = await deps.lockStatic(trx, groupId, act)
      const changed = await write(trx)
      const done = { added: changed.added.length, removed: changed.removed.length }
      if (done.added === 0 && done.removed === 0) return { ...done, version: group.version }
      const { name, version } = await updateGroup(trx, groupId, {}, clock.now())
      await events.emit(trx, {
        type: 'group.updated',
        act,
        data: { group_id: groupId, name, changed: ['members'], ...done },
      })
      await noteMembers(trx, events, groupId, changed, { because: 'members', act })
      afterCommit(trx, deps.wake)
      return { ...done, version }
    })
  }

  async function known(trx: Tx, wanted: readonly string[]): Promise<string[]> {
    const found = await devices.findDeviceNames(trx, wanted)
    const ids = new Map(found.map(({ id }) => [id.toLowerCase(), id]))
    const bad = wanted.flatMap((id, index) => (ids.has(id.toLowerCase()) ? [] : [index]))
    if (bad.length > 0) throw noDevices(bad)
    return [...new Set(ids.values())]
  }

  async function members({ id }: Group, query: { limit: number; after: string | undefined }) {
    const rows = await listMemberIds(db.kysely, id, { ...query, limit: query.limit + 1 })
    const ids = page(rows, query.limit, (member) => [member])
    const named = await devices.findDeviceNames(db.kysely, ids.items)
    const byId = new Map(named.map((row) => [row.id, row]))
    return { ...ids, items: ids.items.flatMap((member) => byId.get(member) ?? []) }
  }

  return {
    /** A page of the members, by id. Throws AppError `not_found`. */
    async listMembers(id: string, query: { limit: number; cursor?: string }): Promise<Page<Member>> {
      const group = (await findGroup(db.kysely, id)) ?? deps.missing()
      const [after] = decodeCursor(query.cursor, ['string']) ?? []
      return members(group, { limit: query.limit, after })
    },
    /** Adds devices to a static group. Throws AppError `not_found`, `conflict` (dynamic) and `invalid_request` (no device). */
    addMembers(groupId: string, deviceIds: readonly string[], act: Act): Promise<MembersChanged> {
      return edit(groupId, act, async (trx) => ({
        added: await insertMembers(trx, groupId, await known(trx, deviceIds), clock.now()),
        removed: [],
      }))
    },
    /** Makes these devices the only members of a static group. Throws as adding does. */
    replaceMembers(groupId: string, deviceIds: readonly string[], act: Act): Promise<MembersChanged> {
      return edit(groupId, act, async (trx) => {
        const ids = await known(trx, deviceIds)
        const removed = await deleteMembersExcept(trx, groupId, ids)
        return { removed, added: await insertMembers(trx, groupId, ids, clock.now()) }
      })
    },
    /** Takes a device out of a static group. Throws AppError `not_found` and `conflict` (dynamic). */
    removeMember(groupId: string, deviceId: string, act: Act): Promise<MembersChanged> {
      return edit(groupId, act, async (trx) => {
        const removed = await deleteMember(trx, groupId, deviceId)
        if (removed.length === 0) throw new AppError('not_found', 'This device is no member of the group.')
        return { added: [], removed }
      })
    },
  }
}

function noDevices(indexes: readonly number[]): AppError {
  const fields = indexes
    .slice(0, MAX_NAMED)
    .map((index) => ({ path: `device_ids.${index}`, message: 'is no device' }))
  return new AppError('invalid_request', `${indexes.length} of the device_ids are no devices.`, { fields })
}

import type { Db, Tx } from '../../db/index.ts'
import type { Act } from '../../kernel/act.ts'
import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { type Page, decodeCursor, page } from '../../kernel/paging.ts'
import {
  type Group,
  type GroupQuery,
  countMembers,
  findGroup,
  findNames,
  listGroups,
  lockGroup,
  updateGroup,
} from './store.ts'
import type { GroupView } from './types.ts'

/** Groups as the API tells them, and as others hold on to them. */
export function createReading({ db, clock }: { db: Db; clock: Clock }) {
  async function views(groups: readonly Group[]): Promise<GroupView[]> {
    const ids = groups.map(({ id }) => id)
    const counts = await countMembers(db.kysely, ids)
    return groups.map((group) => ({ ...group, member_count: counts.get(group.id) ?? 0 }))
  }

  async function view(group: Group): Promise<GroupView> {
    const [seen] = await views([group])
    return seen ?? { ...group, member_count: 0 }
  }

  return {
    view,
    /**
     * Locks a group of either kind and writes its next version: something of it has changed that others keep. Throws AppError
     * `not_found` and `precondition_failed`.
     */
    async touch(trx: Tx, id: string, act: Act): Promise<GroupView> {
      const group = (await lockGroup(trx, id)) ?? missing()
      act.checkVersion(group.version)
      const counts = await countMembers(trx, [id])
      return { ...(await updateGroup(trx, id, {}, clock.now())), member_count: counts.get(id) ?? 0 }
    },
    /** The names of groups by their ids. */
    namesOf: (ids: readonly string[]): Promise<Map<string, string>> => findNames(db.kysely, ids),
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

/** Throws AppError `not_found`. */
export function missing(): never {
  throw new AppError('not_found', 'There is no group with this id.')
}

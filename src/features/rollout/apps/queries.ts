import type { Db, Queries } from '../../../db/index.ts'
import { groupsDelivering } from '../../../db/statements/uses.ts'
import { AppError } from '../../../kernel/errors.ts'
import { type Page, decodeCursor, page } from '../../../kernel/paging.ts'
import {
  type App,
  type AppQuery,
  type AppRevision,
  findApp,
  findRevisionRows,
  listApps,
  listRevisions,
} from './store.ts'

/** An app with its newest revision, and the groups that deliver it. */
export type AppView = App & { newest: AppRevision; group_ids: string[] }

/** What is asked of apps. */
export function createAppQueries({ db }: { db: Db }) {
  return {
    /** Throws AppError `not_found`. */
    get: async (id: string): Promise<AppView> =>
      withNewest(db.kysely, (await findApp(db.kysely, id)) ?? missing()),
    async list(query: Omit<AppQuery, 'after'> & { cursor?: string | undefined }): Promise<Page<AppView>> {
      const { cursor, limit, ...filter } = query
      const after = decodeCursor(cursor, ['string', 'string'])
      const rows = await listApps(db.kysely, { ...filter, ...(after && { after }), limit: limit + 1 })
      const { items, next_cursor } = page(rows, limit, ({ name, id }) => [name, id])
      return { items: await newestOf(db.kysely, items), next_cursor }
    },
    /** The revisions of an app, the newest first. Throws AppError `not_found`. */
    async revisions(
      id: string,
      query: { limit: number; cursor?: string | undefined },
    ): Promise<Page<AppRevision> & { app: App }> {
      const app = (await findApp(db.kysely, id)) ?? missing()
      const [before] = decodeCursor(query.cursor, ['number']) ?? []
      const rows = await listRevisions(db.kysely, id, { limit: query.limit + 1, before })
      return { app, ...page(rows, query.limit, ({ revision }) => [revision]) }
    },
  }
}

/** An app with its newest revision. Throws AppError `not_found` when it is gone meanwhile. */
export async function withNewest(executor: Queries, app: App): Promise<AppView> {
  const [view] = await newestOf(executor, [app])
  return view ?? missing()
}

async function newestOf(executor: Queries, apps: readonly App[]): Promise<AppView[]> {
  const rows = await findRevisionRows(executor, apps)
  const byApp = new Map(rows.map((row) => [row.app_id, row]))
  const groups = await groupsDelivering(
    executor,
    'app',
    apps.map(({ id }) => id),
  )
  return apps.flatMap((app) => {
    const newest = byApp.get(app.id)
    return newest === undefined ? [] : [{ ...app, newest, group_ids: groups.get(app.id) ?? [] }]
  })
}

/** Refuses what names no app. */
export function missing(): never {
  throw new AppError('not_found', 'There is no app with this id.')
}

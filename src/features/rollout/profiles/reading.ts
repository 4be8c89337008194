import type { Db, Queries } from '../../../db/index.ts'
import { SEALED_FOR } from '../../../db/sealed-columns.ts'
import { groupsDelivering } from '../../../db/statements/uses.ts'
import { AppError } from '../../../kernel/errors.ts'
import { type Page, decodeCursor, page } from '../../../kernel/paging.ts'
import type { SecretBox } from '../../../kernel/secret-box.ts'
import {
  findContent,
  findProfile,
  findRevisionRows,
  listProfiles,
  listRevisionRows,
  type Profile,
  type Revision,
} from './store.ts'

/** A profile with what is known of its newest revision, and of who delivers it. */
export interface ProfileView extends Profile {
  newest: Revision
  /** The groups that deliver it. */
  group_ids: string[]
}

/** What is asked of profiles without a change. */
export function createReading({ db, secretBox: box }: { db: Db; secretBox: SecretBox }) {
  async function view(reader: Queries, profile: Profile): Promise<ProfileView> {
    const [seen] = await views(reader, [profile])
    return seen ?? missing()
  }

  async function views(reader: Queries, profiles: readonly Profile[]): Promise<ProfileView[]> {
    const rows = await findRevisionRows(reader, profiles)
    const newest = new Map(rows.map((row) => [row.profile_id, row]))
    const groups = await groupsDelivering(
      reader,
      'profile',
      profiles.map(({ id }) => id),
    )
    return profiles.flatMap((profile) => {
      const row = newest.get(profile.id)
      const group_ids = groups.get(profile.id) ?? []
      return row === undefined ? [] : [{ ...profile, newest: row, group_ids }]
    })
  }

  async function need(reader: Queries, id: string): Promise<Profile> {
    return (await findProfile(reader, id)) ?? missing()
  }

  async function open(reader: Queries, id: string, revision: number): Promise<Buffer | undefined> {
    const sealed = await findContent(reader, { id, revision })
    return sealed && box.open(sealed, SEALED_FOR.profileContent(id, revision))
  }

  return {
    need,
    view,
    /** What was uploaded as this revision; undefined: there is none. */
    open,
    /** The same for administrators, the newest one unless one is named. Throws AppError `not_found`. */
    async content(id: string, revision: number | undefined): Promise<{ revision: number; body: Buffer }> {
      const wanted = revision ?? (await need(db.kysely, id)).revision
      const body = await open(db.kysely, id, wanted)
      if (body === undefined) throw new AppError('not_found', 'There is no such revision of a profile.')
      return { revision: wanted, body }
    },
    /** Throws AppError `not_found`. */
    get: async (id: string): Promise<ProfileView> => view(db.kysely, await need(db.kysely, id)),
    async list(query: {
      limit: number
      cursor?: string
      name?: string
      identifier?: string
    }): Promise<Page<ProfileView>> {
      const { cursor, limit, ...filter } = query
      const after = decodeCursor(cursor, ['string', 'string'])
      const rows = await listProfiles(db.kysely, { ...filter, after, limit: limit + 1 })
      const { items, next_cursor } = page(rows, limit, ({ name, id }) => [name, id])
      return { items: await views(db.kysely, items), next_cursor }
    },
    /** Revisions of a profile, the newest first. Throws AppError `not_found`. */
    async revisions(
      id: string,
      query: { limit: number; cursor?: string },
    ): Promise<Page<Revision & { released: boolean }>> {
      const profile = await need(db.kysely, id)
      const [before] = decodeCursor(query.cursor, ['number']) ?? []
      const rows = await listRevisionRows(db.kysely, id, { limit: query.limit + 1, before })
      const told = rows.map((row) => ({ ...row, released: row.revision === profile.released_revision }))
      return page(told, query.limit, ({ revision }) => [revision])
    },
  }
}

/** Throws AppError `not_found`. */
export function missing(): never {
  throw new AppError('not_found', 'There is no profile with this id.')
}

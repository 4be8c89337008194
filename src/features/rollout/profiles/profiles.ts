import type { Tx } from '../../../db/index.ts'
import type { Act } from '../../../kernel/act.ts'
import { newId } from '../../../kernel/ids.ts'
import { createReading, missing, type ProfileView } from './reading.ts'
import { createReplacement, type ReplacementDeps } from './replacement.ts'
import {
  deleteProfile,
  findRevisionRows,
  insertProfile,
  lockProfile,
  updateProfile,
  type Profile,
} from './store.ts'
import { nameFrom } from './uploads.ts'
import { refuseWhileUsed } from './uses.ts'
import { about, createWriting } from './writing.ts'

/** The configuration profiles. */
export type Profiles = ReturnType<typeof createProfiles>

/** Configuration profiles in revisions; every change is told as an event. */
export function createProfiles(deps: ReplacementDeps) {
  const { db, clock, events, check } = deps
  const { need: _need, view, open, ...doors } = createReading(deps)
  const { store, releaseRevision, tellUpdate } = createWriting(deps)

  /** Stores a new profile, which everybody gets whose group delivers it. Throws what `check` throws. */
  async function create(
    body: Buffer,
    options: { name?: string | undefined; force: boolean },
    act: Act,
  ): Promise<ProfileView> {
    const upload = await check(body, { act, force: options.force })
    const { identifier, scope, display_name } = upload.found
    const now = clock.now()
    return db.transaction(async (trx) => {
      const name = options.name ?? nameFrom(display_name ?? identifier)
      const fields = { id: newId(now), name, identifier, scope, revision: 1, released_revision: 1 }
      const profile = await insertProfile(trx, fields, now)
      const newest = await store(trx, profile, upload, now)
      await events.emit(trx, { type: 'profile.created', act, data: { ...about(profile), released: true } })
      return { ...profile, newest, group_ids: [] }
    })
  }

  /** Renames it. Throws AppError `not_found`, `precondition_failed`. */
  async function rename(id: string, name: string | undefined, act: Act): Promise<ProfileView> {
    return db.transaction(async (trx) => {
      const before = (await lockProfile(trx, id)) ?? missing()
      act.checkVersion(before.version)
      if (name === undefined || name === before.name) return view(trx, before)
      const after = await updateProfile(trx, id, { name }, clock.now())
      await tellUpdate(trx, after, { changed: ['name'], released: isReleased(after) }, act)
      return view(trx, after)
    })
  }

  /** Deletes it with its revisions. Throws AppError `not_found`, `precondition_failed`, `in_use`, `rollout_running`. */
  async function remove(id: string, act: Act): Promise<void> {
    await db.transaction(async (trx) => {
      const profile = (await lockProfile(trx, id)) ?? missing()
      act.checkVersion(profile.version)
      await refuseWhileUsed(trx, 'profile', profile)
      await deleteProfile(trx, id)
      const { name, identifier } = profile
      await events.emit(trx, { type: 'profile.deleted', act, data: { profile_id: id, name, identifier } })
    })
  }

  return {
    create,
    replace: createReplacement(deps),
    rename,
    remove,
    open,
    ...doors,
    /** Makes a revision the one that everybody gets. Throws AppError `not_found`. */
    async release(trx: Tx, id: string, revision: number, act: Act): Promise<void> {
      const profile = (await lockProfile(trx, id)) ?? missing()
      if (profile.released_revision === revision) return
      const [known] = await findRevisionRows(trx, [{ id, revision }])
      if (known === undefined) missing()
      await releaseRevision(trx, profile, revision, act)
    },
  }
}

function isReleased({ revision, released_revision }: Profile): boolean {
  return revision === released_revision
}

import type { Db, Tx } from '../../../db/index.ts'
import type { Act } from '../../../kernel/act.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { AppError } from '../../../kernel/errors.ts'
import type { SecretBox } from '../../../kernel/secret-box.ts'
import type { ProfileReader } from '../../../protocol/mobileconfig/index.ts'
import type { Events } from '../../events/index.ts'
import { createReading, missing, type ProfileView } from './reading.ts'
import { lockProfile, updateProfile, type Profile } from './store.ts'
import type { Upload } from './uploads.ts'
import { refuseWhileReleased } from './uses.ts'
import { createWriting } from './writing.ts'

/** What changes of profiles are made of. */
export interface ReplacementDeps {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  secretBox: SecretBox
  reader: Pick<ProfileReader, 'digest'>
  /** Checks an upload, before anything is locked for it. */
  check: (body: Buffer, options: { act: Act; force: boolean }) => Promise<Upload>
}

/** How a profile gets its next revision. */
export function createReplacement(deps: ReplacementDeps) {
  const { db, clock, reader, check } = deps
  const { need, view, open } = createReading(deps)
  const { store, releaseRevision, tellUpdate } = createWriting(deps)

  async function digestOf({ id, revision }: Profile, act: Act): Promise<string> {
    return reader.digest((await open(db.kysely, id, revision)) ?? missing(), act.by?.id ?? '')
  }

  /** Everybody gets the newest revision, if that was not so. */
  async function keep(
    trx: Tx,
    profile: Profile,
    { rollout }: { rollout: boolean },
    act: Act,
  ): Promise<ProfileView> {
    const isLeft = rollout || profile.released_revision === profile.revision
    if (!isLeft) await refuseWhileReleased(trx, 'profile', profile.id)
    return view(trx, isLeft ? profile : await releaseRevision(trx, profile, profile.revision, act))
  }

  async function advance(
    trx: Tx,
    before: Profile,
    upload: Upload,
    { rollout }: { rollout: boolean },
    act: Act,
  ): Promise<ProfileView> {
    if (!rollout) await refuseWhileReleased(trx, 'profile', before.id)
    const now = clock.now()
    const revision = before.revision + 1
    const set = { revision, ...(!rollout && { released_revision: revision }) }
    const profile = await updateProfile(trx, before.id, set, now)
    await store(trx, profile, upload, now)
    await tellUpdate(trx, profile, { changed: ['content'], released: !rollout }, act)
    return view(trx, profile)
  }

  /**
   * Makes the next revision, unless the newest one says the same; with `rollout` nobody gets it yet. Throws AppError `not_found`,
   * `precondition_failed`, `identifier_changed`, `scope_changed`, `rollout_running` without `rollout`, and what `check` throws.
   */
  return async function replace(
    id: string,
    body: Buffer,
    options: { force: boolean; rollout: boolean },
    act: Act,
  ): Promise<ProfileView> {
    checkFits(await need(db.kysely, id), undefined, act)
    const upload = await check(body, { act, force: options.force })
    // What the newest revision says is looked at before it is locked: another one may have come meanwhile.
    for (;;) {
      const seen = await need(db.kysely, id)
      checkFits(seen, upload, act)
      const isSame = (await digestOf(seen, act)) === upload.found.digest
      const done = await db.transaction(async (trx) => {
        const profile = (await lockProfile(trx, id)) ?? missing()
        checkFits(profile, upload, act)
        if (profile.revision !== seen.revision) return undefined
        return isSame ? keep(trx, profile, options, act) : advance(trx, profile, upload, options, act)
      })
      if (done !== undefined) return done
    }
  }
}

/** Throws where an upload is not for this profile, or not for this version of it. */
function checkFits(profile: Profile, upload: Upload | undefined, act: Act): void {
  act.checkVersion(profile.version)
  if (upload === undefined) return
  const { identifier, scope } = upload.found
  if (identifier !== profile.identifier)
    throw new AppError(
      'identifier_changed',
      `The profile has the PayloadIdentifier "${profile.identifier}", the upload has "${identifier}". Make a new profile of it.`,
      { faults: [{ pointer: '/PayloadIdentifier', detail: 'is another one' }] },
    )
  if (scope !== profile.scope)
    throw new AppError(
      'scope_changed',
      `The profile is for the ${profile.scope}, the upload for the ${scope} (PayloadScope). Make a new profile of it.`,
      { faults: [{ pointer: '/PayloadScope', detail: 'is another one' }] },
    )
}

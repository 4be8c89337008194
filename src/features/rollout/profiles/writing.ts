import type { Tx } from '../../../db/index.ts'
import { SEALED_FOR } from '../../../db/sealed-columns.ts'
import type { Act } from '../../../kernel/act.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { SecretBox } from '../../../kernel/secret-box.ts'
import { secretOf } from '../../../kernel/template.ts'
import type { Events } from '../../events/index.ts'
import { insertRevision, updateProfile, type Profile, type Revision } from './store.ts'
import type { Upload } from './uploads.ts'

/** What changes of profiles are made of. */
export function createWriting(deps: { clock: Clock; events: Pick<Events, 'emit'>; secretBox: SecretBox }) {
  const { clock, events, secretBox: box } = deps

  async function store(trx: Tx, profile: Profile, upload: Upload, now: Date): Promise<Revision> {
    const { body, found, warnings } = upload
    const { digest: _digest, signer, warnings: _warnings, ...facts } = found
    const { id, revision } = profile
    const row = { profile_id: id, revision, size: body.length, facts, signer, warnings, created_at: now }
    const content = box.seal(body, SEALED_FOR.profileContent(id, revision))
    const secretNames = facts.variables.flatMap((name) => secretOf(name) ?? [])
    await insertRevision(trx, { ...row, content, secretNames })
    return row
  }

  async function releaseRevision(trx: Tx, profile: Profile, revision: number, act: Act): Promise<Profile> {
    const after = await updateProfile(trx, profile.id, { released_revision: revision }, clock.now())
    await tellUpdate(trx, { ...after, revision }, { changed: ['released_revision'], released: true }, act)
    return after
  }

  async function tellUpdate(
    trx: Tx,
    profile: Profile,
    what: { changed: string[]; released: boolean },
    act: Act,
  ): Promise<void> {
    await events.emit(trx, { type: 'profile.updated', act, data: { ...about(profile), ...what } })
  }

  return { store, releaseRevision, tellUpdate }
}

/** What an event says of a profile. */
export function about({ id, name, identifier, revision }: Profile) {
  return { profile_id: id, name, identifier, revision }
}

import { type Db, type Tx, isUniqueViolation } from '../../../db/index.ts'
import { SEALED_FOR } from '../../../db/sealed-columns.ts'
import { isSourceOfPage, policiesNaming } from '../../../db/statements/uses.ts'
import type { Act } from '../../../kernel/act.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { AppError } from '../../../kernel/errors.ts'
import { newId } from '../../../kernel/ids.ts'
import { type Page, decodeCursor, page } from '../../../kernel/paging.ts'
import type { SecretBox } from '../../../kernel/secret-box.ts'
import type { Events } from '../../events/index.ts'
import type { Users } from '../../users/index.ts'
import type { SourceFields } from '../schema.ts'
import { completeSource } from './rules.ts'
import {
  deleteSource,
  findClientSecret,
  findSource,
  holdSource,
  insertSource,
  listSources,
  lockSource,
  updateSource,
} from './store.ts'
import { LOCAL, type OidcSource, type Source } from './types.ts'

/** What the sources are made of. */
export type SourcesDeps = {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  secretBox: SecretBox
  users: Pick<Users, 'forgetSubjects'>
}

/** Where people prove who they are. */
export type Sources = ReturnType<typeof createSources>

/** The sources; every change is told as an event. */
export function createSources(deps: SourcesDeps) {
  const { db, clock, events, secretBox } = deps

  async function create(kind: Source['kind'], fields: SourceFields, act: Act): Promise<Source> {
    if (kind === 'local')
      throw new AppError('conflict', 'The local source is there already; there is only one.')
    const columns = completeSource(kind, fields)
    const now = clock.now()
    const id = newId(now)
    return db.transaction(async (trx) => {
      const source = await insertSource(
        trx,
        { id, kind, ...columns, ...sealed(id, fields.client_secret) },
        now,
      )
      if (source === undefined) throw taken()
      await events.emit(trx, { type: 'signin_source.created', act, data: about(source) })
      return source
    })
  }

  async function update(id: string, patch: SourceFields, act: Act): Promise<Source> {
    try {
      return await db.transaction(async (trx) => {
        const before = (await lockSource(trx, id)) ?? missing()
        act.checkVersion(before.version)
        const columns = completeSource(before.kind, patch, fieldsOf(before))
        const changed = Object.keys(patch).filter((name) => patch[name as keyof SourceFields] !== undefined)
        if (changed.length === 0) return before
        const source = await updateSource(
          trx,
          id,
          { ...columns, ...sealed(id, patch.client_secret) },
          clock.now(),
        )
        // Another provider's numbers are other people.
        if (before.kind === 'oidc' && source.kind === 'oidc' && before.issuer !== source.issuer)
          await deps.users.forgetSubjects(trx, id)
        await events.emit(trx, { type: 'signin_source.updated', act, data: { ...about(source), changed } })
        return source
      })
    } catch (error) {
      throw isUniqueViolation(error) ? taken() : error
    }
  }

  async function remove(id: string, act: Act): Promise<void> {
    await db.transaction(async (trx) => {
      const source = (await lockSource(trx, id)) ?? missing()
      act.checkVersion(source.version)
      if (source.kind === LOCAL) throw new AppError('conflict', 'The local source cannot be deleted.')
      const users = await usersOf(trx, id)
      if (users.length > 0) throw new AppError('conflict', `The source is in use: ${users.join(', ')}.`)
      await deleteSource(trx, id)
      await events.emit(trx, { type: 'signin_source.deleted', act, data: about(source) })
    })
  }

  function sealed(id: string, secret: string | undefined): { client_secret?: Buffer } {
    return secret === undefined
      ? {}
      : { client_secret: secretBox.seal(Buffer.from(secret), SEALED_FOR.clientSecret(id)) }
  }

  return {
    create,
    update,
    remove,
    find: (id: string): Promise<Source | undefined> => findSource(db.kysely, id),
    hold: holdSource,
    /** Throws AppError `not_found`. */
    get: async (id: string): Promise<Source> => (await findSource(db.kysely, id)) ?? missing(),
    async list(query: { limit: number; cursor?: string | undefined }): Promise<Page<Source>> {
      const [after] = decodeCursor(query.cursor, ['string']) ?? []
      const rows = await listSources(db.kysely, query.limit + 1, after)
      return page(rows, query.limit, (source) => [source.name])
    },
    /** The client secret of an OpenID provider. */
    async clientSecret({ id }: Pick<OidcSource, 'id'>): Promise<string> {
      const secret = await findClientSecret(db.kysely, id)
      if (secret === null)
        throw new AppError('not_found', 'The sign-in source has no client secret any more.')
      return secretBox.open(secret, SEALED_FOR.clientSecret(id)).toString()
    },
  }
}

/** What was said of a source. */
function fieldsOf(source: Source): SourceFields {
  const { id: _id, kind, version: _version, created_at: _created, updated_at: _updated, ...fields } = source
  if (kind !== 'local') return fields
  return { name: fields.name }
}

/** What an event says of a source. */
function about({ id, kind, name }: Source) {
  return { source_id: id, kind, name }
}

/** Who needs the source, in words. */
async function usersOf(trx: Tx, id: string): Promise<string[]> {
  const policies = await policiesNaming(trx, id)
  return [
    ...policies.map((name) => `enrollment policy "${name}"`),
    ...((await isSourceOfPage(trx, id)) ? ['the page /enroll'] : []),
  ]
}

function missing(): never {
  throw new AppError('not_found', 'There is no sign-in source with this id.')
}

function taken(): AppError {
  return new AppError('conflict', 'There is a sign-in source with this name already.', {
    fields: [{ path: 'name', message: 'is taken' }],
  })
}

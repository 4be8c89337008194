import { timingSafeEqual } from 'node:crypto'
import type { Db, Queries, Tx } from '../../../db/index.ts'
import { SEALED_FOR } from '../../../db/sealed-columns.ts'
import { usesOfSecret } from '../../../db/statements/uses.ts'
import type { Act } from '../../../kernel/act.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { AppError } from '../../../kernel/errors.ts'
import { type Page, decodeCursor, page } from '../../../kernel/paging.ts'
import type { SecretBox } from '../../../kernel/secret-box.ts'
import type { Events } from '../../events/index.ts'
import {
  deleteSecret,
  findSecret,
  findSecrets,
  listSecrets,
  listSecretVersions,
  lockSecretName,
  upsertSecret,
  type Secret,
} from './store.ts'

/** The secrets that profiles and apps name. */
export type Secrets = ReturnType<typeof createSecrets>

/** Values by name that profiles and apps hold and nobody is shown; every change is told as an event. */
export function createSecrets(deps: {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  secretBox: SecretBox
}) {
  const { db, clock, events, secretBox: box } = deps

  /** Sets a value. The same one again is no change. Throws AppError `precondition_failed`. */
  async function set(name: string, value: string, act: Act): Promise<Secret> {
    const plain = Buffer.from(value)
    return db.transaction(async (trx) => {
      await lockSecretName(trx, name)
      const before = await findSecret(trx, name)
      act.checkVersion(before?.version ?? 0)
      if (before !== undefined && isSame(box.open(before.value, SEALED_FOR.secret(name)), plain))
        return before
      const after = await upsertSecret(trx, name, box.seal(plain, SEALED_FOR.secret(name)), clock.now())
      await events.emit(trx, { type: 'secret.set', act, data: { name, created: before === undefined } })
      return after
    })
  }

  /** Deletes it. Throws AppError `not_found`, `precondition_failed`, and `in_use` while something names it. */
  async function remove(name: string, act: Act): Promise<void> {
    await db.transaction(async (trx) => {
      await lockSecretName(trx, name)
      const secret = (await findSecret(trx, name)) ?? missing()
      act.checkVersion(secret.version)
      const usedBy = await usesOfSecret(trx, name)
      if (usedBy.length > 0) throw new AppError('in_use', `The secret "${name}" is in use.`, { usedBy })
      await deleteSecret(trx, name)
      await events.emit(trx, { type: 'secret.deleted', act, data: { name } })
    })
  }

  return {
    set,
    remove,
    /** Throws AppError `not_found`. */
    async get(name: string): Promise<Secret> {
      return (await findSecret(db.kysely, name)) ?? missing()
    },
    async list(query: { limit: number; cursor?: string }): Promise<Page<Secret>> {
      const [after] = decodeCursor(query.cursor, ['string']) ?? []
      const rows = await listSecrets(db.kysely, { limit: query.limit + 1, after })
      return page(rows, query.limit, ({ name }) => [name])
    },
    /** Values and versions of those of these names that there are; the values are never to be told. */
    async open(
      reader: Queries | Tx,
      names: readonly string[],
    ): Promise<Map<string, { value: string; version: string }>> {
      const rows = await findSecrets(reader, names)
      return new Map(
        rows.map(({ name, value, version }) => [
          name,
          { value: box.open(value, SEALED_FOR.secret(name)).toString(), version: String(version) },
        ]),
      )
    },
    /** The versions of all secrets by the names of their variables (`secret.NAME`), for `renderingOf`. */
    async versions(reader: Queries): Promise<Map<string, string>> {
      const rows = await listSecretVersions(reader)
      return new Map(rows.map(({ name, version }) => [`secret.${name}`, String(version)]))
    },
  }
}

function isSame(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}

function missing(): never {
  throw new AppError('not_found', 'There is no secret of this name.')
}

import type { Db } from '../../../db/index.ts'
import { SEALED_FOR } from '../../../db/sealed-columns.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { sha256 } from '../../../kernel/ids.ts'
import type { SecretBox } from '../../../kernel/secret-box.ts'
import { type Kept, toSession, type WebSession } from './session.ts'
import { deleteSession, findSession, insertSession, lockSession, writeState } from './store.ts'

/** Sessions in the database: the id is hashed there, what is kept sealed. */
export function createStoredSessions({
  db,
  clock,
  secretBox,
}: {
  db: Db
  clock: Clock
  secretBox: SecretBox
}) {
  function seal(idHash: Buffer, kept: Kept): Buffer {
    return secretBox.seal(Buffer.from(JSON.stringify(kept)), SEALED_FOR.webSession(idHash))
  }

  function unseal(row: { id_hash: Buffer; state: Buffer }): Kept {
    return JSON.parse(secretBox.open(row.state, SEALED_FOR.webSession(row.id_hash)).toString()) as Kept
  }

  return {
    /** Keeps a new session. */
    async insert(id: string, kept: Kept, expires_at: Date): Promise<WebSession> {
      const id_hash = sha256(id)
      const row = { id_hash, state: seal(id_hash, kept), expires_at, created_at: clock.now() }
      await insertSession(db.kysely, row)
      return toSession(id, kept, expires_at, false)
    },

    /** The session of this id; undefined when it has ended. */
    async find(id: string): Promise<WebSession | undefined> {
      const row = await findSession(db.kysely, sha256(id), clock.now())
      return row && toSession(id, unseal(row), row.expires_at, false)
    },

    /** Forgets a session and gives what was kept; undefined when it has ended. */
    async take(id: string): Promise<{ kept: Kept; expiresAt: Date } | undefined> {
      const row = await findSession(db.kysely, sha256(id), clock.now())
      if (row === undefined) return undefined
      await deleteSession(db.kysely, row.id_hash)
      return { kept: unseal(row), expiresAt: row.expires_at }
    },

    /** Changes what is kept, as one step among all requests of the session; undefined when it has ended. */
    change<T>(id: string, edit: (kept: Kept) => { kept: Kept; value: T }): Promise<T | undefined> {
      const idHash = sha256(id)
      return db.transaction(async (trx) => {
        const row = await lockSession(trx, idHash, clock.now())
        if (row === undefined) return undefined
        const { kept, value } = edit(unseal(row))
        await writeState(trx, idHash, seal(idHash, kept))
        return value
      })
    },
  }
}

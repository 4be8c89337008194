import type { Db } from '../../src/db/index.ts'
import type { Role } from '../../src/features/operators/index.ts'
import type { Clock } from '../../src/kernel/clock.ts'
import { newId, sha256 } from '../../src/kernel/ids.ts'

/** An API token that no other has made; gives its id. */
export async function addToken(
  db: Db,
  clock: Clock,
  { name, secret, role = 'admin' }: { name: string; secret: string; role?: Role },
): Promise<string> {
  const now = clock.now()
  const token = { id: newId(now), name, role, secret_hash: sha256(secret), makers: '[]' }
  const rest = { expires_at: null, last_used_at: null, created_at: now, updated_at: now }
  await db.kysely
    .insertInto('api_tokens')
    .values({ ...token, ...rest })
    .execute()
  return token.id
}

import type { Db } from '../../db/index.ts'
import type { Act, Actor } from '../../kernel/act.ts'
import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { newId, newSecret, sha256 } from '../../kernel/ids.ts'
import type { Log } from '../../kernel/log.ts'
import { type Page, decodeCursor, page } from '../../kernel/paging.ts'
import type { Events } from '../events/index.ts'
import { ensureAdminToken, tokenFact } from './admin-token.ts'
import type { Operator, Role } from './roles.ts'
import {
  type ApiToken,
  deleteToken,
  findToken,
  findTokenOfSecret,
  findValidToken,
  insertToken,
  listTokens,
  lockTokens,
  noteUses,
  validAdminIds,
} from './store.ts'
import { createTokenCache } from './token-cache.ts'

const SECRET_PREFIX = 'fbt_'
/** Longer than any secret we make or accept; nothing longer is hashed. */
const MAX_SECRET_LENGTH = 1024

/** API tokens and who they belong to. */
export type Operators = ReturnType<typeof createOperators>

/** API tokens: who they belong to, how they are made and end. A deleted one is refused within 2 s by every process. */
export function createOperators(deps: { db: Db; clock: Clock; log: Log; events: Pick<Events, 'emit'> }) {
  const { db, clock, events } = deps
  const cache = createTokenCache({ clock, load: (hash) => findValidToken(db.kysely, hash, clock.now()) })
  let uses = new Map<string, Date>()

  /** Who the secret belongs to; undefined when it is unknown, deleted (within 2 s) or expired. */
  async function authenticate(secret: string): Promise<Operator | undefined> {
    if (secret.length > MAX_SECRET_LENGTH) return undefined
    const token = await cache.get(sha256(secret))
    if (token === undefined) return undefined
    uses.set(token.id, clock.now())
    const { id, name, role, makers } = token
    return { kind: 'api_token', id, name, role, makers }
  }

  /** Makes the admin token with this secret at a start, see `ensureAdminToken`. Answers whether it is valid now. */
  async function ensureAdmin(secret: string, options: { isGiven: boolean }): Promise<boolean> {
    await db.transaction((trx) => ensureAdminToken(trx, deps, sha256(secret), options))
    cache.clear()
    return (await authenticate(secret))?.role === 'admin'
  }

  async function create(
    given: { name: string; role: Role; expires_at: Date | null },
    act: Act,
  ): Promise<{ token: ApiToken; secret: string }> {
    const now = clock.now()
    if (given.expires_at !== null && given.expires_at <= now) {
      throw new AppError('invalid_request', 'The field expires_at must be in the future.', {
        fields: [{ path: 'expires_at', message: 'must be in the future' }],
      })
    }
    const secret = SECRET_PREFIX + newSecret()
    const makers = act.by === null ? [] : [...act.makers, act.by.id]
    const token = { id: newId(now), ...given }
    await db.transaction(async (trx) => {
      await insertToken(trx, { ...token, makers, secret_hash: sha256(secret) }, now)
      await events.emit(trx, tokenFact('api_token.created', token, act))
    })
    return { token: { ...token, makers, last_used_at: null, created_at: now, updated_at: now }, secret }
  }

  async function remove(id: string, act: Act): Promise<void> {
    await db.transaction(async (trx) => {
      await lockTokens(trx)
      const token = await findToken(trx, id)
      if (token === undefined) throw missing()
      const admins = await validAdminIds(trx, clock.now())
      if (admins.length === 1 && admins[0] === id) {
        throw new AppError('conflict', 'This is the last valid admin token; make another one first.')
      }
      await deleteToken(trx, id)
      await events.emit(trx, tokenFact('api_token.deleted', token, act))
    })
    cache.clear()
  }

  return {
    authenticate,
    ensureAdminToken: ensureAdmin,
    create,
    remove,
    /** Who the secret with this hash belongs to, or did until it expired. */
    async whose(secretHash: Buffer): Promise<Actor | undefined> {
      const token = await findTokenOfSecret(db.kysely, secretHash)
      return token && { kind: 'api_token', id: token.id, name: token.name }
    },
    /** Throws AppError `not_found`. */
    async get(id: string): Promise<ApiToken> {
      const token = await findToken(db.kysely, id)
      if (token === undefined) throw missing()
      return token
    },
    async list(query: { limit: number; cursor?: string | undefined }): Promise<Page<ApiToken>> {
      const after = decodeCursor(query.cursor, ['string'])
      return page(await listTokens(db.kysely, query.limit + 1, after?.[0]), query.limit, ({ id }) => [id])
    },
    /** Writes down when tokens were last used; for a background job, as no request waits for that. */
    async flushLastUsed(): Promise<void> {
      if (uses.size === 0) return
      const noted = uses
      uses = new Map()
      try {
        await noteUses(db.kysely, noted)
      } catch (error) {
        uses = new Map([...noted, ...uses])
        throw error
      }
    },
  }
}

function missing(): AppError {
  return new AppError('not_found', 'There is no API token with this id.')
}

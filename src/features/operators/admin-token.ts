import { afterCommit, type Tx } from '../../db/index.ts'
import { actOfServer, type Act } from '../../kernel/act.ts'
import type { Clock } from '../../kernel/clock.ts'
import { newId } from '../../kernel/ids.ts'
import type { Log } from '../../kernel/log.ts'
import type { Events, NewEvent } from '../events/index.ts'
import {
  type ApiToken,
  deleteToken,
  insertToken,
  lockTokens,
  markFromSetting,
  validAdminIds,
} from './store.ts'

const FIRST_TOKEN_NAME = 'First admin token'

interface AdminTokenDeps {
  clock: Clock
  log: Log
  events: Pick<Events, 'emit'>
}

/**
 * Makes the admin token with the secret of this hash at a start. One that the operator set (`isGiven`) counts whatever else
 * there is, and ends the one that was set before; one that we made ourselves is only for an installation that has no other.
 */
export async function ensureAdminToken(
  trx: Tx,
  deps: AdminTokenDeps,
  hash: Buffer,
  { isGiven }: { isGiven: boolean },
): Promise<void> {
  const now = deps.clock.now()
  await lockTokens(trx)
  const others = await validAdminIds(trx, now)
  if (!isGiven && others.length > 0) return
  const token = { id: newId(now), name: FIRST_TOKEN_NAME, role: 'admin' as const, expires_at: null }
  const isNew = await insertToken(trx, { ...token, secret_hash: hash }, now)
  if (isNew) await deps.events.emit(trx, tokenFact('api_token.created', token, actOfServer()))
  if (isGiven) await endFormer(trx, deps, hash)
}

/** The fact that a token was made or deleted. */
export function tokenFact(
  type: 'api_token.created' | 'api_token.deleted',
  { id, name, role }: Pick<ApiToken, 'id' | 'name' | 'role'>,
  act: Act,
): NewEvent<typeof type> {
  return { type, act, data: { api_token_id: id, name, role } }
}

/** Ends the tokens that the setting named before: whoever changes it means the former one to be worth nothing. */
async function endFormer(trx: Tx, { log, events }: AdminTokenDeps, hash: Buffer): Promise<void> {
  for (const token of await markFromSetting(trx, hash)) {
    await deleteToken(trx, token.id)
    await events.emit(trx, tokenFact('api_token.deleted', token, actOfServer()))
    afterCommit(trx, () =>
      log.warn(
        { event: 'operators.admin_token_ended', api_token_id: token.id },
        'FIRSTBOOT_ADMIN_TOKEN has changed: the admin token that it named before has ended',
      ),
    )
  }
}

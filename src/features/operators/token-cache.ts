import type { Clock } from '../../kernel/clock.ts'
import type { ApiToken } from './store.ts'

/** A token deleted by another process is accepted at most this much longer. */
const VALID_MS = 2_000
const MAX_TOKENS = 1_000

/**
 * Remembers valid tokens for 2 seconds from the moment they are looked up; requests that come meanwhile share the
 * look-up. Unknown secrets are not remembered.
 */
export function createTokenCache(deps: {
  clock: Clock
  load: (hash: Buffer) => Promise<ApiToken | undefined>
}) {
  const { clock } = deps
  const entries = new Map<string, { until: number; token: Promise<ApiToken | undefined> }>()

  function load(key: string, hash: Buffer, now: number): Promise<ApiToken | undefined> {
    const token = deps.load(hash)
    const entry = { until: now + VALID_MS, token }
    if (entries.size >= MAX_TOKENS) entries.clear()
    entries.set(key, entry)
    const forget = () => {
      if (entries.get(key) === entry) entries.delete(key)
    }
    token.then((found) => found ?? forget(), forget)
    return token
  }

  return {
    /** The valid token with this hash. */
    async get(hash: Buffer): Promise<ApiToken | undefined> {
      const key = hash.toString('base64')
      const now = clock.now().getTime()
      const known = entries.get(key)
      const token = await (known !== undefined && known.until > now ? known.token : load(key, hash, now))
      const hasExpired =
        token?.expires_at !== undefined && token.expires_at !== null && token.expires_at <= clock.now()
      return hasExpired ? undefined : token
    },
    clear: () => entries.clear(),
  }
}

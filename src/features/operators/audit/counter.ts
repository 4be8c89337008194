import type { Actor } from '../../../kernel/act.ts'
import { sha256 } from '../../../kernel/ids.ts'
import type { Told } from './chain.ts'

/** Secrets that are looked up, addresses that are named, and callers, between two tellings: there may be any number. */
const MOST_LOOKED_UP = 20
const MOST_ADDRESSES = 20
const MOST_CALLERS = 100

/** Who called: with a secret that is no valid one; or a token that calls too often. */
type Caller = { secret: string | undefined } | { actor: Actor | null }

type Calls = Partial<Told> & { action: string; count: number; addresses: Map<string, number> }

/**
 * Counts requests that are refused before anything is looked into, of which anybody can make any number: they are told together.
 * Those with a token that has ended are told by its name; `whose` knows it.
 */
export function createCounter(whose: (secretHash: Buffer) => Promise<Actor | undefined>) {
  let calls = new Map<string, Calls>()
  let known = new Map<string, Promise<Actor | undefined>>()

  async function find(secret: string | undefined): Promise<Actor | null> {
    if (secret === undefined) return null
    const hash = sha256(secret)
    const key = hash.toString('base64')
    if (!known.has(key) && known.size < MOST_LOOKED_UP) known.set(key, whose(hash))
    return (await known.get(key)?.catch(() => undefined)) ?? null
  }

  return {
    /** Counts one from an address. */
    async count(address: string, caller: Caller): Promise<void> {
      const isStranger = 'secret' in caller
      const found = isStranger ? await find(caller.secret) : caller.actor
      const actor = found && { kind: found.kind, id: found.id, name: found.name }
      const action = isStranger ? 'authenticate' : 'call'
      const reason = isStranger ? 'unauthenticated' : 'too_many_calls'
      const key = `${action} ${actor?.id ?? ''}`
      const of = calls.get(key) ?? { action, actor, reason, count: 0, addresses: new Map<string, number>() }
      if (calls.size < MOST_CALLERS) calls.set(key, of)
      of.count += 1
      if (of.addresses.has(address) || of.addresses.size < MOST_ADDRESSES)
        of.addresses.set(address, (of.addresses.get(address) ?? 0) + 1)
    },
    /** What is to be told of those since the last time. */
    take(): (Partial<Told> & { action: string })[] {
      const taken = [...calls.values()]
      calls = new Map()
      known = new Map()
      return taken.map(({ count, addresses, ...told }) => ({
        ...told,
        outcome: 'refused',
        after: { calls: count, addresses: Object.fromEntries(addresses) },
      }))
    },
  }
}

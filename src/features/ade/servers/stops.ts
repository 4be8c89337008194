import type { AdeError } from '../../../protocol/ade/index.ts'
import type { AdeDeps } from '../deps.ts'
import * as store from './store.ts'

/** Why nothing goes on by itself, with what to do about it. */
const WHAT_TO_DO = {
  token_rejected:
    "Apple rejects the server token. Download a new one for this server in Apple Business Manager (or School Manager) and upload it here. If the token is new, check that this machine's clock is right.",
  terms_not_signed:
    'Apple has new terms. Someone with the role of administrator must sign in to Apple Business Manager (or School Manager) and accept them; then start a sync by hand.',
  access_denied:
    'Apple denies access. Look whether this server still exists in Apple Business Manager (or School Manager); if it does, make a new token for it there and upload it here, then start a sync by hand.',
} as const

type StopReason = keyof typeof WHAT_TO_DO

function isStopReason(kind: string): kind is StopReason {
  return Object.hasOwn(WHAT_TO_DO, kind)
}

/** What an administrator has to do so that a stopped server goes on; null for one that does. */
export function whatToDo(reason: string | null): string | null {
  return reason !== null && isStopReason(reason) ? WHAT_TO_DO[reason] : null
}

/** Notes when servers stop, and when they go on again. */
export function createStops({ db, events }: Pick<AdeDeps, 'db' | 'events'>) {
  return {
    /** Stops a server when the error is one that only an administrator can end. */
    async note(server: store.ServerRow, { kind, message }: AdeError): Promise<void> {
      if (!isStopReason(kind)) return
      await db.transaction(async (trx) => {
        // A token that was stored in the meantime has not been rejected.
        const present = await store.lockServer(trx, server.id)
        const isSame = server.token !== null && present?.token?.equals(server.token) === true
        if (!isSame) return
        if ((await store.setStopped(trx, server.id, kind)) === undefined) return
        await events.emit(trx, {
          type: 'ade_server.stopped',
          reason: kind,
          data: { ade_server_id: server.id, name: server.name, error: message, what_to_do: WHAT_TO_DO[kind] },
        })
      })
    },
    /** A call has succeeded: it goes on. */
    async resume(id: string): Promise<void> {
      await db.transaction(async (trx) => {
        const resumed = await store.setStopped(trx, id, null)
        if (resumed === undefined) return
        await events.emit(trx, {
          type: 'ade_server.resumed',
          data: { ade_server_id: id, name: resumed.name },
        })
      })
    },
  }
}

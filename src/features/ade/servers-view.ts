import { datesOf } from '../../kernel/schema.ts'
import type { AdeDeps } from './deps.ts'
import { countLive } from './devices/store.ts'
import { findLastRuns } from './syncs/store.ts'
import { showSyncs } from './syncs/view.ts'
import type { ServerView } from './servers-schema.ts'
import { whatToDo } from './servers/stops.ts'
import type { ServerRow } from './servers/store.ts'

/** ADE servers as the API tells them. */
export async function showServers(
  { db, clock }: Pick<AdeDeps, 'db' | 'clock'>,
  servers: readonly ServerRow[],
): Promise<ServerView[]> {
  const ids = servers.map(({ id }) => id)
  const runs = await findLastRuns(db.kysely, ids)
  const counts = await countLive(db.kysely, ids)
  return servers.map((server) => ({
    id: server.id,
    name: server.name,
    has_token: server.token !== null,
    apple_id: server.apple_id,
    token_expires_at: server.token_expires_at?.toISOString() ?? null,
    token_stored_at: server.token_stored_at?.toISOString() ?? null,
    key_staged: server.staged_certificate !== null,
    server_uuid: server.server_uuid,
    server_name: server.server_name,
    org_name: server.org_name,
    org_id: server.org_id,
    stopped_reason: server.stopped_reason as ServerView['stopped_reason'],
    what_to_do: whatToDo(server.stopped_reason),
    default_policy_id: server.default_policy_id,
    device_count: counts.get(server.id) ?? 0,
    sync: showSyncs(server, runs.get(server.id), clock.now()),
    ...datesOf(server),
  }))
}

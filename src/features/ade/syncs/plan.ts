import { addTime } from '../../../kernel/clock.ts'
import { newId } from '../../../kernel/ids.ts'
import type { ServerRow } from '../servers/store.ts'
import type { SyncRun } from './store.ts'

/** A full sync is made at most once in so many days (Intune's rule; Apple's cursors live as long). */
const FULL_SYNC_DAYS = 7
/** Every sync has so many minutes to end. */
const SYNC_MINUTES = 10
/** How often a server is synced without being asked. */
const SCHEDULE_HOURS = 6

/** When a sync that starts at `now` has to end. */
export function endsBy(now: Date): Date {
  return addTime(now, SYNC_MINUTES, 'minute')
}

/** When the next sync starts by itself after one at `now`. */
export function nextScheduled(now: Date): Date {
  return addTime(now, SCHEDULE_HOURS, 'hour')
}

/** From when on a sync is a full one; null: the next one is, whenever it comes. */
export function nextFullSyncAt(
  server: Pick<ServerRow, 'cursor' | 'full_sync_mark' | 'last_full_sync_started_at'>,
): Date | null {
  const isUnderWay = server.full_sync_mark !== null || server.cursor === null
  if (isUnderWay || server.last_full_sync_started_at === null) return null
  return addTime(server.last_full_sync_started_at, FULL_SYNC_DAYS, 'day')
}

/** What is noted of a server whose devices are all to be fetched anew. */
export function fromTheBeginning(now: Date) {
  return { cursor: null, cursor_is_complete: false, full_sync_mark: newId(now) }
}

/** What a sync at `now` is to be. One that was interrupted goes on. */
export function kindOf(server: ServerRow, now: Date): SyncRun['kind'] {
  const from = nextFullSyncAt(server)
  return from === null || from <= now ? 'full' : 'incremental'
}

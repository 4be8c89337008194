import { afterCommit, type Tx } from '../../../db/index.ts'
import type { DevicePage } from '../../../protocol/ade/index.ts'
import type { AdeDeps } from '../deps.ts'
import type { ServerRow } from '../servers/store.ts'
import type { Commits } from './commits.ts'
import type { Ends } from './ends.ts'
import { newestRecords } from './newest.ts'
import * as pages from './pages-store.ts'
import { fromTheBeginning } from './plan.ts'
import * as store from './store.ts'
import type { PageVerdict } from './verdict.ts'

/** Records that cannot be used of which an event tells more than that they came. */
const TOLD_RECORDS = 20

/** Writes down what a run brings; throws `LostRun` when the run is another's, or its time is over. */
export function createPageWrites(
  deps: Pick<AdeDeps, 'clock' | 'events'> & { commits: Commits; ends: Ends; onChanged: () => void },
) {
  const { clock, events, commits, ends, onChanged } = deps

  async function tellLeftOut(trx: Tx, run: store.SyncRun, { leftOut }: DevicePage): Promise<void> {
    if (leftOut.length === 0) return
    await events.emit(trx, {
      type: 'ade_sync.records_left_out',
      reason: 'no_serial_number',
      data: {
        ade_server_id: run.ade_server_id,
        sync_id: run.id,
        count: leftOut.length,
        records: leftOut.slice(0, TOLD_RECORDS),
      },
    })
  }

  async function tell(
    trx: Tx,
    type: 'ade_device.removed' | 'ade_device.drifted',
    serverId: string,
    found: pages.Found,
  ): Promise<void> {
    if (found.count === 0) return
    const data = { ade_server_id: serverId, count: found.count, serial_numbers: found.serials }
    await events.emit(trx, { type, reason: 'sync', data })
  }

  return {
    /** A page that Apple gave at `asOf` for the cursor of `server`, and where to go on. */
    write(
      run: store.SyncRun,
      server: ServerRow,
      { page, asOf }: { page: DevicePage; asOf: Date },
      { isMore, failure, isStuck = false }: PageVerdict,
    ): Promise<void> {
      return commits.write(run, async (trx, present) => {
        const counts = await pages.writePage(trx, newestRecords(page.devices, asOf), {
          serverId: present.id,
          asOf,
          now: clock.now(),
          mark: present.full_sync_mark,
          defaultPolicyId: present.default_policy_id,
        })
        await store.addCounts(trx, run.id, { ...counts, leftOut: page.leftOut.length })
        await tellLeftOut(trx, run, page)
        if (counts.policySet > 0) afterCommit(trx, onChanged)
        if (isStuck) return server.cursor_is_complete ? {} : fromTheBeginning(clock.now())
        const isFetched = !server.cursor_is_complete && !isMore && failure === undefined
        return {
          ...(page.cursor !== undefined && { cursor: page.cursor }),
          ...(isFetched && { cursor_is_complete: true }),
        }
      })
    },
    /** Ends a run that has brought everything: what it did not see is removed, what has drifted is assigned anew. */
    finish(run: store.SyncRun): Promise<void> {
      return commits.write(run, async (trx, { id: serverId, full_sync_mark: mark }) => {
        const now = clock.now()
        // A record that could not be read may have been that of a device which would be taken for gone.
        const isWhole = mark !== null && (await store.leftOutSince(trx, run, mark)) === 0
        const gone = isWhole
          ? await pages.removeUnseen(trx, { serverId, mark, now })
          : { count: 0, serials: [] }
        await store.addCounts(trx, run.id, { removed: gone.count })
        const since = mark === null ? run.started_at : new Date(0)
        const drifted = await pages.takeDrifted(trx, { serverId, since, now })
        await tell(trx, 'ade_device.removed', serverId, gone)
        await tell(trx, 'ade_device.drifted', serverId, drifted)
        await ends.succeed(trx, run, { drifted: drifted.count })
        afterCommit(trx, onChanged)
        return mark === null ? {} : { full_sync_mark: null, last_full_sync_started_at: run.started_at }
      })
    },
  }
}

import { setTimeout as pause } from 'node:timers/promises'
import type { DemoApi } from '../world/api.ts'
import { DEMO_REASONS } from '../world/reasons.ts'
import type { DemoServer } from '../world/server.ts'

/** What strangers were refused becomes an event within seconds, not at once. */
const EVENTS_PATIENCE_MS = 60_000
const EVENTS_POLL_MS = 250

/** Where a reason should have been told besides timeline and log, and was not: `reason: where`. */
export async function findUntold({ url }: Pick<DemoServer, 'url'>, api: DemoApi): Promise<string[]> {
  for (const end = Date.now() + EVENTS_PATIENCE_MS; ;) {
    const metrics = await (await fetch(`${url}/metrics`)).text()
    const told = await eventReasons(api)
    const untold = DEMO_REASONS.flatMap((reason) => [
      ...(metrics.includes(`reason="${reason}"`) ? [] : [`${reason}: metrics`]),
      ...(told.has(reason) ? [] : [`${reason}: events`]),
    ])
    if (untold.length === 0 || Date.now() > end) return untold
    await pause(EVENTS_POLL_MS)
  }
}

/** The reasons of all events. */
async function eventReasons(api: DemoApi): Promise<Set<string>> {
  const reasons = new Set<string>()
  for (let after = ''; ;) {
    const page = await api.call('GET', `/events?limit=1000${after}`)
    const items = page.items as { reason: string | null }[]
    if (items.length === 0) return reasons
    for (const { reason } of items) if (reason !== null) reasons.add(reason)
    after = `&after=${page.next_cursor}`
  }
}

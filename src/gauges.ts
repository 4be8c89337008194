import type { Db } from './db/index.ts'
import type { Ade } from './features/ade/index.ts'
import type { Commands } from './features/commands/index.ts'
import type { Devices } from './features/devices/index.ts'
import type { Subscriptions } from './features/events/index.ts'
import type { Push } from './features/push/index.ts'
import { inTime, type Clock } from './kernel/clock.ts'
import type { Metrics } from './kernel/metrics.ts'

/** How old numbers from the database may be: they cost a look at every device. */
const FRESH_MS = 15_000
/** How long a scrape waits for them; after that it gets those of before. */
const WAIT_MS = 2_000

/** Fills the gauges whenever the metrics are asked for. What the database cannot tell at the moment is left out. */
export function fillGauges(deps: {
  db: Db
  clock: Clock
  metrics: Metrics
  devices: Pick<Devices, 'countByState'>
  commands: Pick<Commands, 'countPending'>
  ade: Pick<Ade, 'countStates' | 'lastSyncs'>
  subscriptions: Pick<Subscriptions, 'states'>
  push: Pick<Push, 'expiries'>
}): void {
  const { db, clock, metrics, devices, commands, ade } = deps
  const { gauges } = metrics
  let running: Promise<void> | undefined
  let readAt = -Infinity

  async function read(): Promise<void> {
    const ofDevices = await devices.countByState()
    const ofCommands = await commands.countPending()
    const { states, assignments } = await ade.countStates()
    const syncs = await ade.lastSyncs()
    const certificates = await deps.push.expiries()
    const followed = await deps.subscriptions.states()
    set('devices', Object.entries(ofDevices))
    set('commands', Object.entries(ofCommands))
    set('adeDevices', states)
    set('adeAssignments', assignments)
    const oldest = Math.min(...syncs.map(({ at }) => at.getTime()))
    if (syncs.length > 0) gauges.adeLastSync.set(oldest / 1000)
    else gauges.adeLastSync.remove()
    const left = (date: Date) => (date.getTime() - clock.now().getTime()) / 1000
    for (const { name: subscription, behind, stuck } of followed) {
      gauges.subscriptionLag.set({ subscription }, behind)
      gauges.subscriptionStuck.set({ subscription }, stuck)
    }
    gauges.expiresIn.reset()
    for (const { name, expires_at: expiresAt } of syncs)
      if (expiresAt !== null) gauges.expiresIn.set({ kind: 'ade_token', name }, left(expiresAt))
    const soonest = certificates.toSorted((a, b) => a.getTime() - b.getTime())[0]
    if (soonest !== undefined) gauges.expiresIn.set({ kind: 'push_certificate', name: '' }, left(soonest))
  }

  function set(
    name: 'devices' | 'commands' | 'adeDevices' | 'adeAssignments',
    counts: Iterable<[string, number]>,
  ): void {
    gauges[name].reset()
    for (const [state, count] of counts) gauges[name].set({ state }, count)
  }

  function forget(): void {
    for (const name of ['devices', 'commands', 'adeDevices', 'adeAssignments', 'expiresIn'] as const)
      gauges[name].reset()
    gauges.adeLastSync.remove()
  }

  function refresh(): Promise<void> {
    running ??= read()
      .catch(forget)
      .finally(() => {
        readAt = clock.now().getTime()
        running = undefined
      })
    return running
  }

  metrics.onRender(async () => {
    for (const [state, count] of Object.entries(db.connections())) gauges.databasePool.set({ state }, count)
    if (clock.now().getTime() - readAt < FRESH_MS) return
    await inTime(clock, WAIT_MS, refresh(), undefined)
  })
}

import { expect, test } from 'vitest'
import { fillGauges } from '../../src/gauges.ts'
import { createMetrics } from '../../src/kernel/metrics.ts'
import { manualClock } from '../support/manual-clock.ts'

type Deps = Parameters<typeof fillGauges>[0]

/** Gauges over a database that answers as `count` does. */
function world(count: () => Promise<{ enrolled: number; unenrolled: number }>) {
  const clock = manualClock()
  const metrics = createMetrics('1.2.3')
  let asked = 0
  fillGauges({
    clock,
    metrics,
    db: { kysely: {}, connections: () => ({ busy: 1, idle: 2, waiting: 3 }) } as unknown as Deps['db'],
    devices: {
      countByState() {
        asked += 1
        return count()
      },
    },
    commands: { countPending: () => Promise.resolve({ queued: 1, sent: 0, not_now: 0 }) },
    ade: {
      countStates: () =>
        Promise.resolve({ states: new Map([['contacted', 2]]), assignments: new Map([['failed', 1]]) }),
      lastSyncs: () => Promise.resolve([]),
    },
    push: { expiries: () => Promise.resolve([]) },
    subscriptions: { states: () => Promise.resolve([{ name: 'x', behind: 4, stuck: 1 }]) },
  })
  const read = async () =>
    (await metrics.render()).body.split('\n').filter((line) => /^firstboot_(?!.*total)/.test(line))
  return { clock, read, asked: () => asked }
}

test('numbers of the database are read once for some seconds', async () => {
  let enrolled = 5
  const { clock, read, asked } = world(() => Promise.resolve({ enrolled, unenrolled: 0 }))
  expect(await read()).toEqual(
    expect.arrayContaining([
      'firstboot_build_info{version="1.2.3"} 1',
      'firstboot_devices{state="enrolled"} 5',
      'firstboot_subscription_lag{subscription="x"} 4',
      'firstboot_subscription_stuck{subscription="x"} 1',
      'firstboot_commands{state="queued"} 1',
      'firstboot_ade_devices{state="contacted"} 2',
      'firstboot_ade_assignments{state="failed"} 1',
      'firstboot_database_pool{state="waiting"} 3',
    ]),
  )
  expect((await read()).filter((line) => line.startsWith('firstboot_ade_last_sync'))).toEqual([])
  enrolled = 6
  expect(await read()).toContain('firstboot_devices{state="enrolled"} 5')
  expect(asked()).toBe(1)
  clock.advance(15_000)
  expect(await read()).toContain('firstboot_devices{state="enrolled"} 6')
})

test('a database that fails is left out, and one that hangs keeps nobody waiting', async () => {
  let answer: () => Promise<{ enrolled: number; unenrolled: number }> = () =>
    Promise.reject(new Error('gone'))
  const { clock, read, asked } = world(() => answer())
  const pool = 'firstboot_database_pool{state="idle"} 2'
  const lines = await read()
  expect(lines).toContain(pool)
  expect(lines.filter((line) => line.startsWith('firstboot_devices'))).toEqual([])
  let arrive = (_counts: { enrolled: number; unenrolled: number }): void => undefined
  answer = () => new Promise((resolve) => (arrive = resolve))
  clock.advance(15_000)
  const hanging = [read(), read()]
  await Promise.resolve()
  clock.advance(2_000)
  for (const late of await Promise.all(hanging)) expect(late).toContain(pool)
  expect(asked()).toBe(2)
  arrive({ enrolled: 7, unenrolled: 1 })
  await new Promise(setImmediate)
  expect(await read()).toContain('firstboot_devices{state="unenrolled"} 1')
})

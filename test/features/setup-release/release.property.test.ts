import fc from 'fast-check'
import { describe, test } from 'vitest'
import { happenings, playOut, type Play } from './histories.ts'
import { describeEachEngine } from '../../support/database.ts'
import { memoryWorld } from './memory-world.ts'
import type { Circumstances, Thing, World } from './phone.ts'
import { storeWorlds } from './store-world.ts'

/** FIRSTBOOT_TEST_CHAOS=full: every history that anybody can think of, in some minutes. */
const isFull = process.env['FIRSTBOOT_TEST_CHAOS'] === 'full'
const MINUTE = 60_000

const beginnings = fc.record({
  isComputed: fc.boolean(),
  isHolding: fc.boolean(),
  minutes: fc.constantFrom(1, 15, 60),
  things: fc.array(fc.constantFrom<Thing>('open', 'done', 'failed'), { maxLength: 3 }),
})
type Beginning = Omit<Circumstances, 'diesAt'>

const begin = (world: World): Play => ({
  world,
  ...{ phone: { isWaiting: false }, before: undefined, isClockTrue: true },
})

const circumstancesOf = (beginning: Beginning): Circumstances => ({
  ...beginning,
  ...{ things: [...beginning.things], diesAt: 0 },
})

describe('whatever happens to a phone that waits', () => {
  test(
    'it is let go, by what the rows say alone',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          beginnings,
          fc.commands(happenings, { maxCommands: 60 }),
          async (beginning, history) => {
            await playOut(begin(memoryWorld(circumstancesOf(beginning))), history)
          },
        ),
        { numRuns: isFull ? 20_000 : 500 },
      )
    },
    10 * MINUTE,
  )
})

describeEachEngine('whatever happens to a phone that waits', (database) => {
  test(
    'it is let go by the server',
    async () => {
      const worldOf = await storeWorlds(database())
      await fc.assert(
        fc.asyncProperty(
          beginnings,
          fc.commands(happenings, { maxCommands: 40, size: 'large' }),
          async (beginning, history) => {
            await playOut(begin(await worldOf(circumstancesOf(beginning))), history)
          },
        ),
        { numRuns: isFull ? 1_000 : 25 },
      )
    },
    10 * MINUTE,
  )
})

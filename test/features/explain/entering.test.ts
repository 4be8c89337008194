import { afterAll, beforeAll, describe, test } from 'vitest'
import { startAdeApp, type AdeApp } from '../../support/ade-app.ts'
import { testDatabase } from '../../support/database.ts'
import { enteringWorld, type EnteringWorld } from './entering-world.ts'
import { expectExplained } from './fault.ts'
import { faultsAtApple } from './faults-at-apple.ts'
import { faultsAtSignIn } from './faults-at-sign-in.ts'

let world: AdeApp
/** Filled before the first test. */
const at = {} as EnteringWorld
beforeAll(async () => {
  const database = await testDatabase('embedded')
  world = await startAdeApp({ db: database })
  Object.assign(at, await enteringWorld(world, database))
})
afterAll(() => world.close())

describe('why a phone has not enrolled, because of Apple', () => {
  test.each(faultsAtApple(at))('$fault: $reason', (fault) => expectExplained(world, fault))
})

describe('why a phone has not enrolled, because of itself or its person', () => {
  test.each(faultsAtSignIn(at))('$fault: $reason', (fault) => expectExplained(world, fault))
})

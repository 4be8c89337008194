import { CompiledQuery, Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Database, Queries } from '../../../src/db/index.ts'
import { deliveriesOf } from '../../../src/db/statements/delivery-views.ts'
import * as facts from '../../../src/db/statements/explain-facts.ts'
import * as finding from '../../../src/db/statements/explain-finding.ts'
import { createAttempts } from '../../../src/features/attempts/index.ts'
import { createDevices } from '../../../src/features/devices/index.ts'
import { manualClock } from '../../support/manual-clock.ts'
import { testDatabase, type TestDatabase } from '../../support/database.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase('embedded')
  // What has no index is read whole then, and nothing else is.
  for (const setting of ['enable_seqscan = off', 'enable_bitmapscan = on'])
    await database.kysely.executeQuery(CompiledQuery.raw(`set ${setting}`))
})
afterAll(() => database.close())

/** What runs no query, but keeps how each would be run. */
function planning(plans: string[]): Queries {
  const nothing = async () => {}
  return new Kysely<Database>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
      createDriver: () => ({
        ...{ init: nothing, destroy: nothing, releaseConnection: nothing },
        ...{ beginTransaction: nothing, commitTransaction: nothing, rollbackTransaction: nothing },
        acquireConnection: async () => ({
          async executeQuery({ sql, parameters }: CompiledQuery) {
            const explained = CompiledQuery.raw(`explain ${sql}`, [...parameters])
            const { rows } = await database.kysely.executeQuery<Record<string, string>>(explained)
            plans.push([sql, ...rows.map((row) => Object.values(row)[0])].join('\n'))
            return { rows: [] }
          },
          streamQuery: () => {
            throw new Error('nothing is streamed here')
          },
        }),
      }),
    },
  })
}

test('whatever is looked up is found by an index', async () => {
  const plans: string[] = []
  const queries = planning(plans)
  const db = { ...database, kysely: queries }
  const attempts = createAttempts({ db, clock: manualClock(), events: {} as never })
  const devices = createDevices({ db, clock: manualClock(), reader: {} as never })
  await finding.enrollmentsMeant(queries, 'F0STORY0001', 20)
  await finding.attemptOfUdid(queries, 'x')
  await finding.strangersRefused(queries, { serial: 'F0STORY0001' })
  await finding.strangersRefused(queries, { userName: 'ada' })
  await facts.serverFacts(queries, 'x')
  await facts.holdOf(queries, 'x')
  await facts.pushNeedOf(queries, 'x')
  await facts.queueOf(queries, 'x')
  await facts.lastEndOf(queries, 'x')
  await facts.haltedRollouts(queries, [{ kind: 'profile', id: 'x' }])
  await deliveriesOf(queries, 'x', { limit: 500, offset: 0 })
  await attempts.list({ serial_number: 'F0STORY0001', limit: 1 })
  await finding.attemptOfPerson(queries, 'ada')
  await attempts.get('x')
  await devices.findEnrollment(queries, 'x')
  // It wants a count, and gets no row.
  await devices.countPlaces(queries, 'x', { halfSince: new Date() }).catch(() => 0)
  expect(plans.length).toBe(16)
  expect(plans.filter((plan) => plan.includes('Seq Scan'))).toEqual([])
})

import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openAgain, testDatabase, type TestDatabase } from '../support/database.ts'

/** Only here can two transactions meet: the embedded database has one connection for all. */
let database: TestDatabase
let world: TestApp
beforeAll(async () => {
  database = await testDatabase('postgres')
  world = await startTestApp({ db: await openAgain(database) })
})
afterAll(async () => {
  await world.close()
  await database.close()
})

const make = async (path: string, body: Record<string, unknown>) =>
  (await world.api('POST', path, body)).body.id as string

/** Begins a change, sends the request, and commits the change when the request waits for it. */
async function meet(change: ReturnType<typeof sql>, request: () => ReturnType<TestApp['api']>) {
  const { kysely } = database
  const isWaiting = async () => {
    const { rows } = await sql`
      select 1 from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(kysely)
    return rows.length > 0
  }
  let answer: ReturnType<TestApp['api']> | undefined
  await kysely.transaction().execute(async (trx) => {
    await change.execute(trx)
    answer = request()
    await expect.poll(isWaiting, { interval: 5, timeout: 20_000 }).toBe(true)
  })
  return answer!
}

test('a policy that a server begins to name while it is deleted stays', async () => {
  const policy = await make('/enrollment-policies', { name: 'Meanwhile' })
  const server = await make('/ade-servers', { name: 'Meanwhile' })
  const answer = await meet(
    sql`update ade_servers set default_policy_id = ${policy} where id = ${server}`,
    () => world.api('DELETE', `/enrollment-policies/${policy}`),
  )
  expect(answer).toMatchObject({ status: 409, body: { code: 'conflict' } })
  expect((await world.api('GET', `/enrollment-policies/${policy}`)).status).toBe(200)
})

test('a source that a policy begins to name while it is deleted stays', async () => {
  const source = await make('/sign-in-sources', { kind: 'ws_trust', name: 'M', url: 'https://127.0.0.1:9/' })
  const policy = await make('/enrollment-policies', { name: 'Of a source' })
  const answer = await meet(
    sql`update enrollment_policies set sign_in_source_id = ${source} where id = ${policy}`,
    () => world.api('DELETE', `/sign-in-sources/${source}`),
  )
  expect(answer).toMatchObject({ status: 409, body: { code: 'conflict' } })
})

test('what is deleted while somebody begins to name it is told as such', async () => {
  const policy = await make('/enrollment-policies', { name: 'Gone' })
  const server = await make('/ade-servers', { name: 'Gone' })
  const answer = await meet(sql`delete from enrollment_policies where id = ${policy}`, () =>
    world.api('PUT', `/ade-servers/${server}/default-policy`, { policy_id: policy }),
  )
  expect([400, 409, 422]).toContain(answer.status)
  expect(['conflict', 'invalid_request']).toContain(answer.body.code)
})

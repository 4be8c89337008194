import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { putMessage, startTestApp, type TestApp } from '../support/app.ts'
import { openAgain, testDatabase, type TestDatabase } from '../support/database.ts'
import { identityOf } from '../support/half-enrolled.ts'

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

test('a result that loses a deadlock against an administrator is tried again, not refused', async () => {
  const device = await world.enrolled()
  await world.introduced(device)
  const { udid } = device.facts
  const command = { Queries: ['DeviceName', 'OSVersion'] }
  await world.api('POST', '/commands', { request_type: 'DeviceInformation', command, device_ids: [udid] })
  const put = (message: Parameters<typeof putMessage>[1]) =>
    putMessage(`${world.url}/mdm/connect`, message, { signer: identityOf(device) })
  const idle = await put({ Status: 'Idle', UDID: udid })
  const uuid = /<key>CommandUUID<\/key>\s*<string>([^<]+)/.exec(idle.body.toString())![1]!
  const { kysely } = database
  const isWaiting = async () => {
    const { rows } = await sql`
      select 1 from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(kysely)
    return rows.length > 0
  }

  let answer: ReturnType<typeof put> | undefined
  const administrator = kysely.transaction().execute(async (trx) => {
    // The one that looks for deadlocks first is the one that loses.
    await sql`set local deadlock_timeout = '1min'`.execute(trx)
    await trx.selectFrom('enrollments').select('id').where('id', '=', udid).forUpdate().execute()
    // The result deletes its command from the queue and then waits for the enrollment, to write down what it tells.
    answer = put({
      Status: 'Acknowledged',
      UDID: udid,
      CommandUUID: uuid,
      QueryResponses: { DeviceName: 'renamed', OSVersion: '18.2' },
    })
    await expect.poll(isWaiting, { interval: 5 }).toBe(true)
    await trx.deleteFrom('pending_deliveries').where('enrollment_id', '=', udid).execute()
  })
  await administrator
  expect((await answer)?.status).toBe(200)
  expect((await put({ Status: 'Idle', UDID: udid })).status).toBe(200)
})

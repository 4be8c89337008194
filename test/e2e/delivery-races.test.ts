import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Db, Tx } from '../../src/db/index.ts'
import { createDeviceHttp, type Device } from '../../src/simulator/index.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openAgain, testDatabase, type TestDatabase } from '../support/database.ts'
import { deliveryWorld } from '../support/delivery-world.ts'

const MOST_ROUNDS = 1_000

// The embedded database does one thing at a time.
describe('a device that comes while it is visited', () => {
  let database: TestDatabase
  let beside: Db
  let world: TestApp
  let at: ReturnType<typeof deliveryWorld>
  beforeAll(async () => {
    database = await testDatabase('postgres')
    beside = await openAgain(database)
    world = await startTestApp({ db: database })
    at = deliveryWorld(world, 'races')
  })
  afterAll(async () => {
    await world.close()
    await beside.close()
    await database.close()
  })

  const until = async (isSo: () => Promise<boolean>) => {
    for (let round = 0; !(await isSo()); round++) {
      if (round === MOST_ROUNDS) throw new Error('not so')
      await world.pass(100)
    }
  }
  const queuedFor = async ({ facts }: Device) => {
    const { rows } = await sql<{ uuid: string }>`
      select p.command_uuid as uuid from pending_deliveries p join commands c on c.uuid = p.command_uuid
      where p.enrollment_id = ${facts.udid} and c.purpose = 'delivery'`.execute(beside.kysely)
    return rows[0]?.uuid
  }
  const isBlocked = async (trx: Tx) => {
    const { rows } = await sql<{ n: number }>`
      select count(*)::integer as n from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(trx)
    return (rows[0]?.n ?? 0) > 0
  }

  /** Something is queued for a device and not wanted any more; `meanwhile` happens when the visit is about to take it back. */
  async function takenBack(
    device: Device,
    unwant: () => Promise<unknown>,
    meanwhile: (trx: Tx) => Promise<unknown>,
  ) {
    await until(async () => (await queuedFor(device)) !== undefined)
    const uuid = await queuedFor(device)
    await beside.transaction(async (trx) => {
      await sql`select from pending_deliveries where command_uuid = ${uuid} for update`.execute(trx)
      await unwant()
      await until(() => isBlocked(trx))
      await meanwhile(trx)
    })
  }

  /** A profile is given to a device and taken from it. */
  async function takenAway(meanwhile: (trx: Tx) => Promise<unknown>): Promise<Device> {
    const device = await at.member()
    const profile = await at.profile()
    const group = await at.group(device)
    await at.put(group, at.bring(profile))
    await takenBack(device, () => at.put(group), meanwhile)
    await at.until([device], async () => (await at.deliveries(device)).length === 0)
    return device
  }
  const countOf = (device: Device, type: string) =>
    device.results().filter(({ requestType }) => requestType === type).length
  const OURS = sql`command_uuid in (select uuid from commands where purpose = 'delivery')`
  const goesOut = (trx: Tx) =>
    sql`update pending_deliveries set state = 'sent', sent_at = created_at, sends = 1 where ${OURS}`.execute(
      trx,
    )
  const isDone = (trx: Tx) =>
    sql`
      with gone as (delete from pending_deliveries where ${OURS} returning *)
      insert into delivery_history
        (enrollment_id, command_uuid, state, not_now_count, created_at, sent_at, finished_at)
      select enrollment_id, command_uuid, 'acknowledged', 0, created_at, created_at, created_at from gone`.execute(
      trx,
    )

  test('what went out in that moment is removed', async () => {
    expect(countOf(await takenAway(goesOut), 'RemoveProfile')).toBe(1)
  })

  test('what was done in that moment is removed', async () => {
    expect(countOf(await takenAway(isDone), 'RemoveProfile')).toBe(1)
  })

  test('what did not go out leaves nothing to remove', async () => {
    expect(countOf(await takenAway(() => Promise.resolve()), 'RemoveProfile')).toBe(0)
  })

  test('what is under way is waited for, so that nothing comes twice', async () => {
    const http = createDeviceHttp()
    let meanwhile: (() => Promise<unknown>) | undefined
    const device = await at.member({
      http: {
        ...http,
        async send(request) {
          const answer = await http.send(request)
          if (answer.body.includes('InstallProfile')) await meanwhile?.()
          return answer
        },
      },
    })
    const profile = await at.profile()
    const group = await at.group(device)
    // While the device does it it is not wanted any more, and then wanted again.
    meanwhile = async () => {
      meanwhile = undefined
      for (const items of [[], [at.bring(profile)]]) {
        await at.put(group, ...items)
        for (let round = 0; round < 10; round++) await world.pass(200)
      }
    }
    await at.put(group, at.bring(profile))
    await at.untilIs([device], profile, { state: 'installed' })
    await at.pass([device], 2_000, 5)
    expect([countOf(device, 'InstallProfile'), countOf(device, 'RemoveProfile')]).toEqual([1, 0])
    http.close()
  })

  test('what went out in that moment is replaced by what is to be there', async () => {
    const device = await at.member()
    const profile = await at.profile({ ssid: 'first' })
    await at.put(await at.group(device), at.bring(profile))
    await at.untilIs([device], profile, { state: 'installed', revision: 1 })
    await at.replace(profile, 'second', '?rollout=true')
    const before = countOf(device, 'InstallProfile')
    const { body } = await world.api('POST', '/rollouts', {
      kind: 'profile',
      id: profile.id,
      rings: [{ percent: 100 }],
    })
    await takenBack(device, () => world.api('POST', `/rollouts/${body.id}/roll-back`), goesOut)
    await at.until([device], () => countOf(device, 'InstallProfile') > before)
    await at.untilIs([device], profile, { state: 'installed', revision: 1 })
  })
})

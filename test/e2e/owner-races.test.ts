import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Device } from '../../src/simulator/index.ts'
import { CHECK_IN, putMessage, startTestApp, TOPIC, type TestApp } from '../support/app.ts'
import { openAgain, testDatabase, type TestDatabase } from '../support/database.ts'
import { halfEnrolled, identityOf, TOKEN_UPDATE } from '../support/half-enrolled.ts'
import { ownerWorld } from '../support/owner-world.ts'

// Whole servers with databases of their own: the limit is for what hangs, not for a busy machine.
vi.setConfig({ testTimeout: 60_000 })

describe('the place of a device, wanted by many at two servers on one database', () => {
  let database: TestDatabase
  let worlds: readonly [TestApp, TestApp]
  let at: ReturnType<typeof ownerWorld>
  beforeAll(async () => {
    database = await testDatabase('postgres')
    const one = await startTestApp({ db: await openAgain(database) })
    worlds = [one, await startTestApp({ db: await openAgain(database), apns: one.apns, clock: one.clock })]
    at = ownerWorld(one, () => database)
    await at.user('ada')
    await at.user('mallory')
  })
  afterAll(async () => {
    for (const world of worlds.toReversed()) await world.close()
    await database.close()
  })

  const thieves = async (count: number, url: string) => {
    const made: Device[] = []
    for (let n = 0; n < count; n++) made.push(await halfEnrolled(worlds[0], 'certificate', url))
    return made
  }
  const claimAtOnce = (all: Device[], UDID: string) =>
    Promise.all(
      all.map(async (thief, n) => {
        const message = { MessageType: 'Authenticate', UDID, Topic: TOPIC }
        const options = { signer: identityOf(thief), type: CHECK_IN }
        return (await putMessage(`${worlds[n % 2]!.url}/mdm/checkin`, message, options)).status
      }),
    )

  test.each([
    ['an operator’s word', (id: string) => worlds[1].api('POST', `/devices/${id}/allow-re-enrollment`)],
    ['the end of an enrollment', (id: string) => worlds[1].api('DELETE', `/devices/${id}?force=true`)],
    [
      'Apple’s word that it is gone',
      (id: string) =>
        database.kysely
          .updateTable('enrollments')
          .set({ unregistered_at: worlds[0].clock.now() })
          .where('id', '=', id)
          .execute(),
    ],
  ])('of many who come at once after %s one gets the place', async (_, open) => {
    const device = worlds[0].device()
    await device.enroll({ url: await at.link({ user_name: 'ada' }) })
    await worlds[0].introduced(device)
    // Each of another user, or the second would be the same person as the first.
    const urls = await Promise.all(
      Array.from({ length: 8 }, async (_each, n) => {
        const user_name = `thief-${n}-${Math.random()}`
        await at.user(user_name)
        return at.link({ user_name })
      }),
    )
    const all = (await Promise.all(urls.map((url) => thieves(1, url)))).flat()
    expect((await claimAtOnce(all, device.facts.udid)).filter((status) => status === 200)).toEqual([])
    const fresh = (await Promise.all(urls.map((url) => thieves(1, url)))).flat()
    await open(device.facts.udid)
    const statuses = await claimAtOnce(fresh, device.facts.udid)
    expect(statuses.toSorted()).toEqual([200, ...Array.from({ length: 7 }, () => 403)])
    const winner = fresh[statuses.indexOf(200)]!
    const update = { ...TOKEN_UPDATE, UDID: device.facts.udid }
    expect((await at.say(winner, update)).status).toBe(200)
  })

  test('of many who bring a new device at once, in both spaces, one gets each place', async () => {
    for (let round = 0; round < 3; round++) {
      const all: Device[] = []
      for (let n = 0; n < 6; n++) {
        const user_name = `new-${round}-${n}`
        await at.user(user_name)
        all.push(...(await thieves(1, await at.link({ user_name }))))
      }
      const UDID = `NEW-DEVICE-${round}`
      const statuses = await Promise.all(
        all.map(async (thief, n) => {
          const ids = n % 3 === 0 ? { EnrollmentID: UDID } : { UDID }
          const message = { MessageType: 'Authenticate', Topic: TOPIC, ...ids }
          const options = { signer: identityOf(thief), type: CHECK_IN }
          return (await putMessage(`${worlds[n % 2]!.url}/mdm/checkin`, message, options)).status
        }),
      )
      expect(statuses.toSorted()).toEqual([200, 200, 403, 403, 403, 403])
      const rows = await database.kysely
        .selectFrom('enrollments')
        .select(['id', 'type'])
        .where('id', 'in', [UDID, `:${UDID}`])
        .execute()
      expect(rows.map(({ type }) => type).toSorted()).toEqual(['device', 'user_enrollment_device'])
    }
  })

  test('a refusal at one server and a contact at the other: Apple’s word does not outlive the contact', async () => {
    const device = worlds[0].device()
    await device.enroll({ url: await at.link({ user_name: 'ada' }) })
    await worlds[0].introduced(device)
    const others = await at.link({ user_name: 'mallory' })
    const { push_token } = await database.kysely
      .selectFrom('enrollments')
      .select('push_token')
      .where('id', '=', device.facts.udid)
      .executeTakeFirstOrThrow()
    worlds[0].apns.script(push_token!.toString('hex'), { status: 410, reason: 'Unregistered' })
    expect((await at.claim(device, others)).enrolled).toBe(false)
    const idle = { Status: 'Idle', UDID: device.facts.udid }
    expect((await putMessage(`${worlds[1].url}/mdm`, idle, { signer: identityOf(device) })).status).toBe(200)
    expect((await at.claim(device, others)).enrolled).toBe(false)
    await at.isAlive(device, device.facts.udid)
  })
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { signMachineInfo } from '../../../src/protocol/ade/index.ts'
import { startAdeApp, type AdeApp } from '../../support/ade-app.ts'
import { openAgain, testDatabase, type TestDatabase } from '../../support/database.ts'

const PASSWORD = 'right password'
const LIMIT = 3

describe('a limit under many phones at once, on two servers', () => {
  let database: TestDatabase
  let one: AdeApp
  let other: AdeApp
  beforeAll(async () => {
    database = await testDatabase('postgres')
    one = await startAdeApp({ db: await openAgain(database) })
    other = await startAdeApp({ db: await openAgain(database), with: one })
  })
  afterAll(async () => {
    await other.close()
    await one.close()
    await database.close()
  })

  /** Activation that sends a phone to another server than the address at Apple names. */
  const at = (world: AdeApp) => (serial: string) => {
    const profile = one.fake.activate(serial)
    if (profile === undefined) return undefined
    const { pathname } = new URL(String(profile.content['url']))
    return { ...profile, content: { ...profile.content, url: world.url + pathname } }
  }

  test('exactly as many enrol as the user may have, whatever the way', async () => {
    await one.user('crowd', { device_limit: LIMIT })
    const policy = await one.policy({ user_affinity: 'prompt' })
    const person = { userName: 'crowd', passwords: [PASSWORD] }
    const phones = await one.phones(
      policy,
      ...Array.from({ length: 8 }, (_, n) => ({ person, activate: at(n % 2 === 0 ? one : other) })),
    )
    const link = await one.link({ uses: 10, user_name: 'crowd' })
    const direct = [one, other].map((world) => ({
      device: world.device(),
      url: world.url + new URL(link).pathname,
    }))
    const ends = await Promise.all([
      ...phones.map(async (phone) => (await phone.powerOn()).outcome === 'enrolled'),
      ...direct.map(async ({ device, url }) => (await device.enroll({ url })).enrolled),
    ])
    expect(ends.filter((isIn) => isIn)).toHaveLength(LIMIT)
    const live = (await one.api('GET', '/devices?state=enrolled&limit=1000')).body.items
    expect(live.filter((each: { user_name: string }) => each.user_name === 'crowd')).toHaveLength(LIMIT)
    const refused = (await one.api('GET', '/enrollment-attempts?reason=device_limit_exceeded&limit=1000'))
      .body
    expect(refused.items).toHaveLength(ends.length - LIMIT)
    expect(phones.flatMap((phone) => phone.violations())).toEqual([])
  })

  test('a phone that comes to both servers at once has one attempt that counts', async () => {
    const policy = await one.policy()
    const phone = await one.phone(policy)
    const { url } = one.activation(phone)
    const path = new URL(url).pathname

    const { facts } = phone
    const info = {
      UDID: facts.udid,
      SERIAL: facts.serialNumber,
      PRODUCT: facts.productName,
      VERSION: '22B83',
    }
    const identity = await one.ca.deviceIdentity(facts.serialNumber)
    const body = await signMachineInfo(info, identity, { chain: one.ca.chain })
    const answers = await Promise.all(
      [one, other, one, other, one, other].map((world) =>
        fetch(world.url + path, { method: 'POST', body: new Uint8Array(body) }),
      ),
    )
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200])
    const outcomes = (await one.attemptsOf(phone)).map(({ outcome }) => outcome).toSorted()
    expect(outcomes).toEqual(['in_progress'])
    const usable = []
    for (const answer of answers) {
      const profile = Buffer.from(await answer.arrayBuffer())
      if ((await phone.device.enroll({ profile })).enrolled) usable.push(profile)
    }
    expect(usable).toHaveLength(1)
  })
})

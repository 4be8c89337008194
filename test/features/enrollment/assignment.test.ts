import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAdeApp, type AdeApp } from '../../support/ade-app.ts'
import { describeEachEngine } from '../../support/database.ts'

describeEachEngine('a device of a user that is given a policy', (database) => {
  let world: AdeApp
  let policy: string
  beforeAll(async () => {
    world = await startAdeApp({ db: database() })
    policy = await world.policy()
  })
  afterAll(() => world.close())

  const device = async (udid: string) => (await world.api('GET', `/devices/${udid}`)).body
  const commands = async (udid: string) =>
    (await world.api('GET', `/devices/${udid}/commands`)).body.items.map(
      (each: { request_type: string }) => each.request_type,
    )

  test('is unenrolled with the reason on its attempt, once, and can enrol anew', async () => {
    const phone = await world.stranger()
    const enrolled = await phone.device.enroll({ url: await world.link() })
    expect(enrolled).toMatchObject({ enrolled: true })
    const { udid, serialNumber } = phone.facts
    const attempt = await world.attemptOf(phone)
    world.clock.advance(1_000)
    world.fake.portal.addDevices([serialNumber], 'Phones')
    await world.api('POST', `/ade-servers/${world.serverId}/syncs`)
    await world.until(
      async () => (await world.api('GET', `/ade-devices/${serialNumber}`)).status === 200,
      100,
    )
    expect(await commands(udid)).not.toContain('RemoveProfile')
    await world.assign(policy, [serialNumber])
    await world.until(async () => (await commands(udid)).includes('RemoveProfile'), 500)
    await phone.device.poll()
    expect(await device(udid)).toMatchObject({ state: 'unenrolled' })
    const closed = (await world.attemptsOf(phone)).find(({ id }) => id === attempt.id)
    expect(closed).toMatchObject({ outcome: 'enrolled', reason: 'unenrolled_by_assignment' })
    expect(closed?.timeline.at(-1)).toMatchObject({ step: 'unenroll', reason: 'unenrolled_by_assignment' })
    expect((await world.eventsOf(attempt.id)).map(({ type }) => type)).toContain('enrollment.revoked')
    expect(await world.counted('unenrolled_by_assignment')).toBe(1)

    phone.erase()
    expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled' })
    await world.assign(policy, [serialNumber])
    await world.pass(10_000)
    expect(await device(udid)).toMatchObject({ state: 'enrolled', policy_id: policy })
    expect(
      await commands(udid).then((types) => types.filter((type: string) => type === 'RemoveProfile')),
    ).toHaveLength(1)
  })

  test('that came by itself at power-on is left alone', async () => {
    const phone = await world.phone(policy)
    expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled' })
    const other = await world.policy()
    await world.assign(other, [phone.facts.serialNumber])
    await world.pass(10_000)
    expect(await device(phone.facts.udid)).toMatchObject({ state: 'enrolled', policy_id: policy })
    expect(await commands(phone.facts.udid)).not.toContain('RemoveProfile')
  })

  test('the static group of its policy, and of its link, has it from then on', async () => {
    const group = (await world.api('POST', '/groups', { name: `Group ${Math.random()}` })).body.id
    const members = async () =>
      (await world.api('GET', `/groups/${group}/members`)).body.items.map(({ id }: { id: string }) => id)
    const grouped = await world.policy({ group_id: group })
    const phone = await world.phone(grouped)
    await phone.powerOn()
    const direct = world.device()
    await direct.enroll({ url: await world.link({ uses: 1, group_id: group }) })
    expect((await members()).toSorted()).toEqual([phone.facts.udid, direct.facts.udid].toSorted())
    await direct.checkOut()
    expect(await members()).toEqual([phone.facts.udid])
  })
})

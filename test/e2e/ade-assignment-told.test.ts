import { expect, test } from 'vitest'
import { startAdeApp } from '../support/ade-app.ts'
import { describeEachEngine } from '../support/database.ts'

describeEachEngine('an assignment', (database) => {
  test('tells whom it will unenroll, and a policy in use is not switched off', async () => {
    const world = await startAdeApp({ db: database() })
    try {
      const policy = await world.policy()
      const device = await world.enrolled()
      const { serialNumber, udid } = device.facts
      world.fake.portal.addDevices([serialNumber, 'SPARE1'], 'Phones')
      await world.api('POST', `/ade-servers/${world.serverId}/syncs`)
      await world.until(
        async () => (await world.api('GET', `/ade-devices/${serialNumber}`)).status === 200,
        500,
      )
      const assign = async (query: string, serials: string[]) =>
        (
          await world.api('POST', `/enrollment-policies/${policy}/assign${query}`, {
            serial_numbers: serials,
          })
        ).body
      expect(await assign('?dry_run=true', [serialNumber.toLowerCase(), 'SPARE1'])).toEqual({
        ...{ changed: 2, unchanged: 0, problems: [], will_unenroll: [udid] },
      })
      await world.settle()
      expect((await world.api('GET', `/devices/${udid}`)).body.state).toBe('enrolled')
      expect(await assign('', ['SPARE1'])).toMatchObject({ changed: 1, will_unenroll: [] })
      expect(await assign('', [serialNumber])).toMatchObject({ changed: 1, will_unenroll: [udid] })
      expect(await assign('?dry_run=true', [serialNumber])).toMatchObject({ unchanged: 1, will_unenroll: [] })
      await world.until(async () => {
        const { items } = (await world.api('GET', `/devices/${udid}/commands`)).body as {
          items: { request_type: string }[]
        }
        return items.some(({ request_type: type }) => type === 'RemoveProfile')
      }, 500)

      const off = { ade: { enabled: false } }
      const used = await world.api('PATCH', `/enrollment-policies/${policy}`, off)
      expect([used.status, used.body.code]).toEqual([409, 'conflict'])
      expect(used.body.detail).toContain('2 devices')
      const standard = await world.policy()
      const path = `/ade-servers/${world.serverId}/default-policy`
      expect((await world.api('PUT', path, { policy_id: standard })).status).toBe(200)
      expect((await world.api('PATCH', `/enrollment-policies/${standard}`, off)).status).toBe(409)
      expect(
        (await world.api('PATCH', `/enrollment-policies/${standard}`, { ade: { enabled: null } })).status,
      ).toBe(409)
      expect(
        (await world.api('PATCH', `/enrollment-policies/${standard}`, { description: 'x' })).status,
      ).toBe(200)
      expect((await world.api('PUT', path, { policy_id: null })).status).toBe(200)
      expect((await world.api('PATCH', `/enrollment-policies/${standard}`, off)).status).toBe(200)
      expect((await world.api('PUT', path, { policy_id: standard })).body.code).toBe('policy_not_for_ade')
    } finally {
      await world.close()
    }
  })
})

import { expect, test } from 'vitest'
import { version } from '../../src/version.ts'
import { ADMIN_TOKEN } from '../support/app.ts'
import { startAdeApp } from '../support/ade-app.ts'
import { describeEachEngine } from '../support/database.ts'

const FRESH_MS = 15_000

describeEachEngine('what a server tells of itself', (database) => {
  test('gauges of what there is, a sentence in every line, the serial number in every line of a device', async () => {
    const world = await startAdeApp({ db: database() })
    try {
      const policy = await world.policy()
      const [phone, other] = await world.phones(policy, {}, {})
      expect(await phone!.powerOn()).toMatchObject({ outcome: 'enrolled' })
      await world.introduced(phone!.device)
      const metrics = async () => {
        world.clock.advance(FRESH_MS)
        const answer = await fetch(`${world.url}/metrics`, {
          headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
        })
        return (await answer.text()).split('\n')
      }
      const lines = await metrics()
      const values = Object.fromEntries(
        lines
          .filter((line) => line.startsWith('firstboot_'))
          .map((line) => line.split(/ (?=\S+$)/) as [string, string]),
      )
      expect(values).toMatchObject({
        'firstboot_devices{state="enrolled"}': '1',
        'firstboot_devices{state="unenrolled"}': '0',
        'firstboot_ade_devices{state="enrolled"}': '1',
        'firstboot_ade_devices{state="not_contacted"}': '1',
        'firstboot_ade_assignments{state="assigned"}': '2',
        'firstboot_events_total{type="ade_device.assigned",reason="assigned"}': '2',
        [`firstboot_build_info{version="${version}"}`]: '1',
      })
      for (const state of ['queued', 'sent', 'not_now'])
        expect(Number(values[`firstboot_commands{state="${state}"}`])).toBeGreaterThanOrEqual(0)
      for (const state of ['busy', 'idle', 'waiting'])
        expect(values).toHaveProperty([`firstboot_database_pool{state="${state}"}`])
      const at = Number(values['firstboot_ade_last_sync_timestamp_seconds'])
      expect(Math.abs(at - world.clock.now().getTime() / 1000)).toBeLessThan(3600)
      expect(Number(values['firstboot_expires_in_seconds{kind="ade_token",name="Phones"}'])).toBeGreaterThan(
        0,
      )
      expect(Number(values['firstboot_expires_in_seconds{kind="push_certificate",name=""}'])).toBeGreaterThan(
        0,
      )
      const text = lines.join('\n')
      const { serialNumber, udid } = phone!.facts
      for (const name of [serialNumber, udid, other!.facts.serialNumber, policy])
        expect(text).not.toContain(name)

      for (let call = 0; call < 3; call += 1)
        expect((await world.api('GET', '/events?limit=1')).status).toBe(200)
      expect((await world.api('GET', '/events?limit=x')).status).toBe(400)
      expect((await world.api('GET', '/ade-devices')).status).toBe(200)

      const told = world
        .logText()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>)
      for (const { msg, event } of told)
        expect([event, msg]).toEqual([event, expect.stringMatching(/^\S+ \S+ /)])
      const asked = (route: string) =>
        told.filter((line) => line['level'] !== 'debug' && line['route'] === `/api/v1${route}`)
      expect(asked('/events')).toMatchObject([
        { status: 400, msg: expect.stringContaining('was answered with 400: ') },
      ])
      expect(asked('/ade-devices').length).toBeGreaterThan(0)
      const ofDevice = told.filter(({ enrollment_id: id }) => id === udid)
      expect(ofDevice.length).toBeGreaterThanOrEqual(3)
      for (const line of ofDevice) expect(line).toMatchObject({ serial_number: serialNumber })
      const commands = told.filter(({ event }) => String(event).startsWith('command.'))
      expect(commands.length).toBeGreaterThan(0)
      for (const line of commands) expect(line).toMatchObject({ request_type: expect.any(String) })
    } finally {
      await world.close()
    }
  })
})

import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeEachEngine } from '../support/database.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { startReceiver, type Receiver } from '../support/webhook-receiver.ts'

interface Told {
  topic: string
  event_id: string
  created_at: string
  checkin_event?: {
    ids: { id: string; type: string; parent_id?: string }
    token_update_tally?: number
  } & Sent
  acknowledge_event?: { ids: { id: string; type: string }; status: string; command_uuid?: string } & Sent
}
interface Sent {
  udid?: string
  raw_payload: string
  url_params: object
}

describeEachEngine("webhooks in NanoMDM's shape", (database) => {
  let world: TestApp
  let receiver: Receiver
  beforeAll(async () => {
    world = await startTestApp({ db: database(), settings: { FIRSTBOOT_ALLOW_PRIVATE_WEBHOOKS: 'true' } })
    receiver = await startReceiver()
  })
  afterAll(async () => {
    await world.close()
    await receiver.close()
  })

  const told = () => receiver.received.map(({ text }) => JSON.parse(text) as Told)
  const arrived = (isThere: (all: Told[]) => boolean) =>
    expect
      .poll(
        async () => {
          await world.pass(500)
          return isThere(told())
        },
        { timeout: 20_000 },
      )
      .toBe(true)
  const kept = () => database().kysely.selectFrom('device_messages').selectAll().execute()

  test('nothing is kept as long as there is none', async () => {
    await world.enrolled()
    expect(await kept()).toEqual([])
  })

  test('what devices say is sent as they said it, in order, and signed with the text of the secret', async () => {
    const secret = 'a shared secret'
    const made = await world.api('POST', '/webhooks', { url: receiver.url, shape: 'nanomdm', secret })
    expect(made).toMatchObject({ status: 201, body: { shape: 'nanomdm', types: null } })
    const device = await world.enrolled()
    const { udid } = device.facts
    await device.poll()
    await device.checkOut()
    await arrived((all) => all.some(({ topic }) => topic === 'mdm.CheckOut'))
    const mine = told().filter(
      ({ checkin_event: checkin, acknowledge_event: acknowledge }) =>
        (checkin ?? acknowledge)?.ids.id === udid,
    )
    const topics = mine.map(({ topic }) => topic)
    expect(topics.slice(0, 2)).toEqual(['mdm.Authenticate', 'mdm.TokenUpdate'])
    expect(topics.at(-1)).toBe('mdm.CheckOut')
    expect(topics).toContain('mdm.Connect')
    const [first, second] = mine
    expect(first?.checkin_event).toMatchObject({ ids: { id: udid, type: 'Device' }, udid, url_params: {} })
    expect(first?.checkin_event).not.toHaveProperty('token_update_tally')
    expect(second?.checkin_event?.token_update_tally).toBe(1)
    const raw = Buffer.from(second?.checkin_event?.raw_payload ?? '', 'base64').toString()
    expect(raw).toMatch(/^<\?xml[^]*TokenUpdate[^]*PushMagic/)
    const connect = mine.find(({ topic }) => topic === 'mdm.Connect')
    expect(connect?.acknowledge_event).toMatchObject({ ids: { id: udid }, status: 'Idle' })
    for (const { headers, text } of receiver.received) {
      expect(headers['x-hmac-signature']).toBe(createHmac('sha256', secret).update(text).digest('base64'))
      expect(headers).not.toHaveProperty('webhook-signature')
    }
    // What is kept of it is sealed, and no event tells it.
    expect((await kept()).some(({ raw: sealed }) => sealed.includes('PushMagic'))).toBe(false)
  })

  test('results come with their command, and what was sent can be sent again', async () => {
    const { items } = (await world.api('GET', '/webhooks')).body
    const device = await world.enrolled()
    const { udid } = device.facts
    const command = {
      request_type: 'DeviceInformation',
      command: { Queries: ['OSVersion'] },
      device_ids: [udid],
    }
    const { uuid } = (await world.api('POST', '/commands', command)).body
    await device.poll()
    const isIt = ({ acknowledge_event: event }: Told) => event?.command_uuid === uuid
    await arrived((all) => all.some(isIt))
    const answer = told().find(isIt)
    expect(answer?.acknowledge_event).toMatchObject({ status: 'Acknowledged', udid })
    const path = `/webhooks/${items[0].id}`
    const deliveries = await world.api('GET', `${path}/deliveries?state=delivered&limit=1`)
    expect(deliveries.body.items).toMatchObject([{ type: expect.stringMatching(/^mdm\./), status: 204 }])
    const after = String(Number(answer?.event_id) - 1)
    expect((await world.api('POST', `${path}/replay`, { after })).status).toBe(202)
    await arrived((all) => all.filter(isIt).length === 2)
    expect((await world.api('POST', `${path}/test`)).body.ok).toBe(true)
    expect((await world.api('DELETE', path)).status).toBe(204)
    const before = (await kept()).length
    await device.poll()
    expect((await kept()).length).toBe(before)
  })
})

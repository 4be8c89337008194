import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { ACT } from '../../support/act.ts'
import { testDatabase } from '../../support/database.ts'
import { startReceiver, type Receiver } from '../../support/webhook-receiver.ts'
import type { WebhookProcessOptions } from '../../support/webhook-process.ts'
import { webhookWorld } from '../../support/webhook-world.ts'

const SCRIPT = new URL('../../support/webhook-process.ts', import.meta.url).pathname
/** FIRSTBOOT_TEST_CHAOS=full: as many events and deaths as the issue of this promise asks for. */
const isFull = process.env['FIRSTBOOT_TEST_CHAOS'] === 'full'
const SIZE = isFull ? { events: 10_000, deaths: 50 } : { events: 600, deaths: 4 }
const DEVICES = 25
/** A lease of 20 seconds is over in half a second. */
const SPEED = 40

test(
  'whoever dies, every event arrives, those of a device in order',
  { timeout: isFull ? 20 * 60_000 : 120_000 },
  async () => {
    const database = await testDatabase('postgres')
    onTestFinished(database.close)
    const { webhooks, tell } = webhookWorld(database)
    let receiver = await startReceiver()
    const { received, url } = receiver
    const port = Number(new URL(url).port)
    await webhooks.create({ url, types: ['user.created'] }, ACT)

    const options: WebhookProcessOptions = { location: database.location, began: Date.now(), speed: SPEED }
    let sender: ChildProcess
    const start = () =>
      (sender = spawn(process.execPath, [SCRIPT, JSON.stringify(options)], { stdio: 'inherit' }))
    const kill = async () => {
      const exited = once(sender, 'exit')
      sender.kill('SIGKILL')
      await exited
    }
    /** A receiver that is new each time, and now and then fails or cuts the connection before or after it has seen an event. */
    const whims = (to: Receiver): void => {
      to.received = received
      let count = 0
      to.answer = () => {
        count += 1
        if (count % 97 === 0) return (response) => response.socket?.destroy()
        return count % 41 === 0 ? 503 : 204
      }
    }
    whims(receiver)
    start()
    onTestFinished(kill)

    const names = Array.from({ length: SIZE.events }, (_, n) => `d${n % DEVICES}-${n}`)
    const batch = Math.ceil(SIZE.events / SIZE.deaths)
    for (let death = 0; death < SIZE.deaths; death++) {
      const before = received.length
      await tell(...names.slice(death * batch, (death + 1) * batch))
      // In the middle of what has come: by turns the one, the other, both.
      await expect.poll(() => received.length - before, { timeout: 60_000 }).toBeGreaterThan(batch / 4)
      if (death % 3 !== 1) await kill()
      if (death % 3 !== 0) {
        await receiver.close()
        await pause(20)
        receiver = await startReceiver(port)
        whims(receiver)
      }
      if (death % 3 !== 1) start()
    }
    onTestFinished(() => receiver.close())

    const arrived = () => new Set(received.map(({ id }) => id)).size
    await expect.poll(arrived, { timeout: 90_000, interval: 100 }).toBe(SIZE.events)
    // What comes again after a death is known by its id.
    const seen = new Set<string>()
    const first = received.filter(({ id }) => !seen.has(id) && seen.add(id)).map(({ body }) => body.user_name)
    for (let device = 0; device < DEVICES; device++) {
      const mine = (all: readonly (string | null)[]) => all.filter((name) => name?.startsWith(`d${device}-`))
      expect(mine(first)).toEqual(mine(names))
    }
  },
)

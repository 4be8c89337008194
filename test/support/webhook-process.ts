import { pino } from 'pino'
import { openDatabase } from '../../src/db/index.ts'
import { createEvents, createOutlets } from '../../src/features/events/index.ts'
import { createMetrics } from '../../src/kernel/metrics.ts'
import { createSecretBox } from '../../src/kernel/secret-box.ts'
import { fastClock } from './fast-clock.ts'

/** What the process is told, as JSON in its first argument. */
export interface WebhookProcessOptions {
  location: { url?: string; dataDir: string }
  /** When its clock began, and how much faster than others it goes. */
  began: number
  speed: number
}

const PAUSE_MS = 500

// A server process that does nothing but send webhooks, until it is killed.
const options = JSON.parse(process.argv[2] ?? '') as WebhookProcessOptions
const log = pino({ level: 'silent' })
const db = await openDatabase({ ...options.location, log })
const clock = fastClock(options)
const secretBox = createSecretBox({ key: Buffer.alloc(32, 7) })
const events = createEvents({ db, clock, log, metrics: createMetrics() })
const base = { db, clock, log, secretBox, events }
const { webhookDelivery: delivery } = createOutlets({
  ...base,
  userAgent: 'Firstboot/test',
  allowPrivate: true,
})
for (;;) {
  await events.publish()
  await delivery.run()
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS / options.speed))
}

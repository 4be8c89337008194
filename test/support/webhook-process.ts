import { pino } from 'pino'
import { openDatabase } from '../../src/db/index.ts'
import {
  createDeviceMessages,
  createEvents,
  createSending,
  createSources,
  createWebhookDelivery,
  createWebhooks,
} from '../../src/features/events/index.ts'
import { createMetrics } from '../../src/kernel/metrics.ts'
import { createAddressCheck } from '../../src/kernel/public-address.ts'
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
const addresses = createAddressCheck({ allowPrivate: true })
const sending = createSending({ clock, userAgent: 'Firstboot/test', addresses })
const secretBox = createSecretBox({ key: Buffer.alloc(32, 7) })
const events = createEvents({ db, clock, log, metrics: createMetrics() })
const parts = { db, clock, log, secretBox, events, sending }
const hooks = { ...parts, sources: createSources(parts), messages: createDeviceMessages(parts) }
const webhooks = createWebhooks({ ...hooks, addresses })
const delivery = createWebhookDelivery({ ...hooks, webhooks })
for (;;) {
  await events.publish()
  await delivery.run()
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS / options.speed))
}

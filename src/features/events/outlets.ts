import type { Db } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { createAddressCheck } from '../../kernel/public-address.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import type { Events } from './events.ts'
import { createEventStreams } from './stream.ts'
import { createWebhookDelivery } from './webhooks/delivery.ts'
import { createDeviceMessages } from './webhooks/device-messages.ts'
import { createSending } from './webhooks/sending.ts'
import { createSources } from './webhooks/sources.ts'
import { createWebhooks } from './webhooks/webhooks.ts'

/** How events leave the server by themselves. */
export type Outlets = ReturnType<typeof createOutlets>

/** How events leave the server by themselves: streams, and webhooks with what they send. */
export function createOutlets(deps: {
  db: Db
  clock: Clock
  log: Log
  secretBox: SecretBox
  events: Events
  userAgent: string
  /** Whether webhooks may go to addresses that only we can reach. */
  allowPrivate: boolean
}) {
  const { clock, userAgent, allowPrivate } = deps
  const addresses = createAddressCheck({ allowPrivate })
  const sending = createSending({ clock, userAgent, addresses })
  const deviceMessages = createDeviceMessages(deps)
  const hooks = { ...deps, sending, sources: createSources(deps), messages: deviceMessages }
  const webhooks = createWebhooks({ ...hooks, addresses })
  return {
    eventStreams: createEventStreams(deps),
    deviceMessages,
    webhooks,
    webhookDelivery: createWebhookDelivery({ ...hooks, webhooks }),
  }
}

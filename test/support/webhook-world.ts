import { onTestFinished } from 'vitest'
import type { Db } from '../../src/db/index.ts'
import { createOutlets } from '../../src/features/events/index.ts'
import { doorsOf } from './api-world.ts'
import { type ManualClock, manualClock } from './manual-clock.ts'

/** One process that sends webhooks, over a test's database. */
export function webhookWorld(db: Db, clock: ManualClock = manualClock(), allowPrivate = true) {
  const doors = doorsOf(db, clock)
  const { events } = doors
  const outlets = createOutlets({ ...doors, userAgent: 'Firstboot/test', allowPrivate })
  const { webhooks, webhookDelivery: delivery, deviceMessages: messages } = outlets
  onTestFinished(delivery.close)
  onTestFinished(events.close)

  /** Tells of users, each with the device that stands in its name, and publishes that. */
  async function tell(...names: string[]): Promise<void> {
    const facts = names.map((name) => ({
      ...{ type: 'user.created' as const, user_name: name, data: { user_id: name } },
      enrollment_id: name.split('-')[0] ?? null,
    }))
    await db.transaction((trx) => events.emit(trx, ...facts))
    await events.publish()
  }

  /** Has it sent what is due now. */
  async function send(): Promise<void> {
    await delivery.run()
    await delivery.idle()
  }

  return { ...doors, webhooks, delivery, messages, tell, send }
}

import type { Db } from '../../../db/index.ts'
import type { Act } from '../../../kernel/act.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { AppError } from '../../../kernel/errors.ts'
import { newId } from '../../../kernel/ids.ts'
import { decodeCursor, page, type Page } from '../../../kernel/paging.ts'
import { renderEvent } from '../api.ts'
import { checkKept, type Events } from '../events.ts'
import type { Attempt } from './schedule.ts'
import type { WebhookSecrets } from './secrets.ts'
import type { Sending } from './sending.ts'
import { nanomdmMessage, standardMessage, type Outgoing, type Sources } from './sources.ts'
import * as store from './store.ts'

/** What was and will be sent. */
export function createDeliveries(deps: {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  secrets: WebhookSecrets
  sending: Pick<Sending, 'send'>
  sources: Sources
  get: (id: string) => Promise<store.WebhookRow>
  lock: (...given: Parameters<typeof store.lockWebhook>) => Promise<store.WebhookRow>
}) {
  const { db, clock, events, get } = deps
  return {
    async deliveries(
      id: string,
      query: { limit: number; cursor?: string | undefined; state?: store.DeliveryRow['state'] | undefined },
    ): Promise<Page<store.DeliveryRow>> {
      const webhook = await get(id)
      const [before] = decodeCursor(query.cursor, ['number']) ?? []
      const { state, limit } = query
      const rows = await store.listDeliveries(db.kysely, webhook, { state, before, limit: limit + 1 })
      return page(rows, limit, ({ event_id }) => [event_id])
    },

    /** Sends events again from after one on; gives how many. Throws AppError `cursor_gone`. */
    async replay(id: string, after: number, act: Act): Promise<number> {
      const bounds = await deps.sources[(await get(id)).shape].bounds()
      if (after > bounds.newest)
        throw new AppError(
          'invalid_request',
          `There is no event ${after} yet; the newest is ${bounds.newest}.`,
        )
      checkKept(after, bounds)
      return db.transaction(async (trx) => {
        const webhook = await deps.lock(trx, id)
        const { name } = webhook
        const count = await store.rewind(trx, webhook, after)
        const data = { webhook_id: id, name, after: String(after), count }
        await events.emit(trx, { type: 'webhook.replayed', act, data })
        return count
      })
    },

    /** Sends one message of no event now, whether the webhook is enabled or not. */
    async test(id: string, { by, via }: Act): Promise<Attempt> {
      const webhook = await get(id)
      const message = testMessage(webhook, clock.now(), { by, via })
      const secrets = deps.secrets.open(webhook)
      const attempt = await deps.sending.send({ url: webhook.url, ...message, secrets })
      if (attempt === undefined) throw new AppError('overloaded')
      return attempt
    },

    /** Forgets dead deliveries whose events are kept no more. */
    deleteDead: () => store.deleteDead(db.kysely),
  }
}

/** A message of nothing that has happened, in the shape of the webhook. */
function testMessage(
  { id, shape }: store.WebhookRow,
  at: Date,
  { by, via }: Pick<Act, 'by' | 'via'>,
): Outgoing {
  if (shape === 'nanomdm') {
    const device = { enrollment_id: 'test', channel: 'device' as const, parent_id: null, udid: 'test' }
    const none = { user_enrollment_id: null, command_uuid: null, token_update_tally: null }
    return nanomdmMessage(
      { id: 0, at, topic: 'mdm.Connect', ...device, ...none, status: 'Idle' },
      Buffer.alloc(0),
    )
  }
  const none = { enrollment_id: null, serial_number: null, user_name: null, reason: null, attempt_id: null }
  const event = { id: 0, type: 'webhook.test', at, by, via, ...none, data: { webhook_id: id } }
  const message = { ...renderEvent(event), id: `test-${newId(at)}` }
  return standardMessage(message.id, JSON.stringify(message))
}

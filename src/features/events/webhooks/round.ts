import type { Db } from '../../../db/index.ts'
import { addTime, type Clock } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import type { Events } from '../events.ts'
import type { NewEvent } from '../types.ts'
import { sendBatch, type Item, type Sent } from './batch.ts'
import { LIFE_DAYS, pauseAfter } from './schedule.ts'
import type { Sending } from './sending.ts'
import type { Entry, Sources } from './sources.ts'
import { retryNow, saveOutcomes, updateWebhook, type Outcome, type WebhookRow } from './store.ts'
import type { Webhooks } from './webhooks.ts'
import * as store from './work-store.ts'

/** Events read and sent before the outcome is written down: so many may come twice after a crash. */
const PAGE = 100
/** Of what was delivered, so much is kept to be shown. */
const KEEP_DELIVERED = 1_000
/** Events that were looked at in vain, after which that is written down. */
const SKIPPED = 1_000

interface Batch {
  items: Item[]
  /** What is not sent now, because something of its device waits. */
  waiting: Outcome[]
  /** How far the webhook is after it. */
  cursor: number
}

/** Gives the function that sends the webhook of an id, which `worker` has, one batch of what is due or has come. */
export function createRound(deps: {
  db: Db
  clock: Clock
  log: Log
  events: Pick<Events, 'emit'>
  webhooks: Pick<Webhooks, 'secretsOf'>
  sending: Sending
  sources: Sources
  worker: string
}) {
  const { db, clock, log, events, sending, sources, worker } = deps

  /** Sends one batch; false when there is no more to do now. */
  async function round(id: string): Promise<boolean> {
    const webhook = await store.heldWebhook(db.kysely, id, worker)
    if (webhook?.enabled !== true || (webhook.paused_until ?? clock.now()) > clock.now()) return false
    const batch = await nextBatch(webhook)
    if (batch === undefined) return false
    const secrets = deps.webhooks.secretsOf(webhook)
    const sent = await sendBatch({ sending, clock }, { ...webhook, secrets }, batch.items)
    return sent !== undefined && settle(webhook, batch, sent)
  }

  async function nextBatch(webhook: WebhookRow): Promise<Batch | undefined> {
    const { id, cursor } = webhook
    const source = sources[webhook.shape]
    const limit = webhook.unreachable_tries > 0 ? 1 : PAGE
    const due = await store.dueDeliveries(db.kysely, id, clock.now(), limit)
    if (due.length > 0) {
      const kept = await source.byId(due.map(({ event_id }) => event_id))
      const items = due.map((each) => ({ ...each, outgoing: kept.get(each.event_id) ?? null }))
      return { items, waiting: [], cursor }
    }
    const { oldest, newest } = await source.bounds()
    const page = await source.after(webhook, limit)
    const last = page.at(-1)?.id ?? (newest - cursor > SKIPPED ? newest : cursor)
    if (last === cursor) return undefined
    if (cursor < oldest - 1)
      log.warn(
        { event: 'webhook.events_gone', webhook_id: id },
        'a webhook goes on after events that are kept no more',
      )
    const items = page.filter(({ outgoing }) => outgoing !== null).map(newItem)
    const lanes = items.flatMap(({ lane }) => lane ?? [])
    const blocked = await store.busyLanes(db.kysely, id, lanes)
    const [waiting, free] = [true, false].map((isBlocked) =>
      items.filter(({ lane }) => blocked.has(lane ?? '') === isBlocked),
    ) as [Item[], Item[]]
    return { items: free, waiting: waiting.map((item) => pending(item, clock.now())), cursor: last }
  }

  /** Writes down what became of a batch; false when that does not count, or nothing more may be sent now. */
  function settle(webhook: WebhookRow, batch: Batch, sent: Sent): Promise<boolean> {
    const { id, unreachable_tries: before } = webhook
    const now = clock.now()
    const isUnreachable = sent.answered === 0 && sent.unreachable > 0
    const unreachableTries = isUnreachable ? before + 1 : sent.answered > 0 ? 0 : before
    const pausedUntil = isUnreachable ? addTime(now, pauseAfter(unreachableTries), 'second') : null
    return db.transaction(async (trx) => {
      if (!(await store.moveOn(trx, webhook, { cursor: batch.cursor, unreachableTries, pausedUntil })))
        return false
      // What was not sent after all and has no row yet gets one.
      const isNew = batch.cursor > webhook.cursor
      const unsent = isNew ? sent.unsent.map((item) => pending(item, now)) : []
      await saveOutcomes(trx, id, [...sent.outcomes, ...batch.waiting, ...unsent])
      if (isNew) await store.trimDelivered(trx, id, KEEP_DELIVERED)
      if (before > 0 && sent.answered > 0) await retryNow(trx, id, now, { anew: false })
      const old = isUnreachable && (await store.giveUp(trx, id, addTime(now, -LIFE_DAYS, 'day')))
      await events.emit(trx, ...dead(webhook, sent, old || { count: 0, first: null }))
      if (!sent.isGone) return !isUnreachable
      await updateWebhook(trx, id, { enabled: false, disabled_reason: 'gone', updated_at: now })
      const { name } = webhook
      await events.emit(trx, { type: 'webhook.disabled', data: { webhook_id: id, name } })
      return false
    })
  }

  return round
}

function newItem({ id: event_id, lane, outgoing }: Entry): Item {
  return { event_id, lane, outgoing, tries: 0, first_try_at: null, refused_since: null }
}

function pending({ event_id, lane }: Item, now: Date): Outcome {
  return {
    ...{ event_id, lane, state: 'pending', tries: 0, retry_at: now },
    ...{ first_try_at: null, last_try_at: null, refused_since: null },
    ...{ status: null, duration_ms: null, answer_bytes: null, error: null },
  }
}

function dead(
  { id, name }: WebhookRow,
  { outcomes }: Sent,
  old: { count: number; first: number | null },
): NewEvent[] {
  const given = outcomes.filter(({ state }) => state === 'dead')
  const count = given.length + old.count
  if (count === 0) return []
  const first = Math.min(...given.map(({ event_id }) => event_id), old.first ?? Number.MAX_SAFE_INTEGER)
  const error = given[0]?.error ?? 'It could not be reached.'
  const data = { webhook_id: id, name, event_id: String(first), count, error }
  return [{ type: 'webhook.delivery_dead', data }]
}

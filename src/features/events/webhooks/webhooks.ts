import type { Db } from '../../../db/index.ts'
import type { Act } from '../../../kernel/act.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { AppError } from '../../../kernel/errors.ts'
import { newId } from '../../../kernel/ids.ts'
import { decodeCursor, page, type Page } from '../../../kernel/paging.ts'
import type { AddressCheck } from '../../../kernel/public-address.ts'
import type { SecretBox } from '../../../kernel/secret-box.ts'
import type { EventType } from '../catalogue.ts'
import type { Events } from '../events.ts'
import { createDeliveries } from './deliveries.ts'
import { createWebhookSecrets } from './secrets.ts'
import type { DeviceMessages } from './device-messages.ts'
import type { Sending } from './sending.ts'
import type { Sources } from './sources.ts'
import { checkWebhookSecret, newWebhookSecret } from './signature.ts'
import * as store from './store.ts'

/** Each costs a process a few requests at a time. */
const MOST_WEBHOOKS = 100

/** A webhook, with its secret if it was made just now. */
export type Webhook = store.WebhookRow & store.WebhookCounts & { made_secret?: string }

interface NewWebhook {
  name?: string
  url: string
  shape?: store.WebhookRow['shape']
  types?: EventType[] | null
  secret?: string | null
  enabled?: boolean
}

type WebhookPatch = Partial<Omit<NewWebhook, 'shape'>> & { previous_valid_hours?: number }

/** Where events are sent. */
export type Webhooks = ReturnType<typeof createWebhooks>

/** Makes, changes and ends webhooks. Secrets are kept sealed and shown once. */
export function createWebhooks(deps: {
  db: Db
  clock: Clock
  secretBox: SecretBox
  events: Pick<Events, 'emit'>
  addresses: AddressCheck
  sending: Pick<Sending, 'send'>
  sources: Sources
  messages: Pick<DeviceMessages, 'look'>
}) {
  const { db, clock, events, addresses, messages } = deps
  const secrets = createWebhookSecrets(deps)

  async function get(id: string): Promise<Webhook> {
    return (await store.findWebhook(db.kysely, id)) ?? missing()
  }

  async function create(given: NewWebhook, act: Act): Promise<Webhook> {
    const { url, name = hostOf(url), shape = 'firstboot', types = null, enabled = true } = given
    const secret = given.secret ?? newWebhookSecret()
    await addresses.check(url)
    checkFor(shape, { types, secret })
    const now = clock.now()
    const id = newId(now)
    await db.transaction(async (trx) => {
      if ((await store.countWebhooks(trx)) >= MOST_WEBHOOKS)
        throw new AppError('conflict', `There are ${MOST_WEBHOOKS} webhooks already.`)
      const settings = { id, name, url, shape, types, enabled }
      const times = { created_at: now, updated_at: now }
      await store.insertWebhook(trx, { ...settings, secret: secrets.seal(id, secret), ...times })
      await events.emit(trx, { type: 'webhook.created', act, data: { webhook_id: id, name } })
    })
    await messages.look()
    return { ...(await get(id)), made_secret: secret }
  }

  async function update(id: string, patch: WebhookPatch, act: Act): Promise<Webhook> {
    if (patch.url !== undefined) await addresses.check(patch.url)
    const secret = patch.secret === null ? newWebhookSecret() : patch.secret
    if (secret === undefined && patch.previous_valid_hours !== undefined)
      throw new AppError('invalid_request', 'previous_valid_hours goes with another secret.')
    await db.transaction(async (trx) => {
      const before = await lock(trx, id)
      act.checkVersion(before.version)
      checkFor(before.shape, { types: patch.types ?? null, secret })
      const set = changesOf(before, patch)
      const now = clock.now()
      if (secret !== undefined)
        Object.assign(set, secrets.replaced(before, secret, patch.previous_valid_hours))
      const changed = Object.keys(set).filter((name) => !name.startsWith('previous_'))
      if (changed.length === 0) return
      const isBack = set.enabled === true
      const anew = { disabled_reason: null, unreachable_tries: 0, paused_until: null, updated_at: now }
      await store.updateWebhook(trx, id, { ...set, ...anew })
      await store.retryNow(trx, id, now, { anew: isBack })
      const data = { webhook_id: id, name: set.name ?? before.name, changed }
      await events.emit(trx, { type: 'webhook.updated', act, data })
    })
    return {
      ...(await get(id)),
      ...(patch.secret === null && secret !== undefined && { made_secret: secret }),
    }
  }

  async function remove(id: string, act: Act): Promise<void> {
    await db.transaction(async (trx) => {
      const { version, name } = await lock(trx, id)
      act.checkVersion(version)
      await store.deleteWebhook(trx, id)
      await events.emit(trx, { type: 'webhook.deleted', act, data: { webhook_id: id, name } })
    })
    await messages.look()
  }

  return {
    ...{ create, get, update, remove, secretsOf: secrets.open },
    ...createDeliveries({ ...deps, secrets, get, lock }),
    async list(query: { limit: number; cursor?: string | undefined }): Promise<Page<Webhook>> {
      const [after] = decodeCursor(query.cursor, ['string']) ?? []
      const rows = await store.listWebhooks(db.kysely, { limit: query.limit + 1, after })
      return page(rows, query.limit, ({ id }) => [id])
    },
  }
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url
}

/** Throws AppError `invalid_request` when a webhook of this shape cannot have these. */
function checkFor(
  shape: store.WebhookRow['shape'],
  { types, secret }: { types: EventType[] | null; secret: string | undefined },
): void {
  if (shape === 'nanomdm' && types !== null)
    throw new AppError('invalid_request', 'Types are of events; a webhook in the shape of NanoMDM has none.')
  // NanoMDM's receivers take any text.
  if (shape === 'firstboot' && secret !== undefined) checkWebhookSecret(secret)
}

/** What a patch changes, secrets apart. */
function changesOf(before: store.WebhookRow, { name, url, types, enabled }: WebhookPatch) {
  return {
    ...(name !== undefined && name !== before.name && { name }),
    ...(url !== undefined && url !== before.url && { url }),
    ...(types !== undefined && String(types) !== String(before.types) && { types }),
    ...(enabled !== undefined && enabled !== before.enabled && { enabled }),
  }
}

async function lock(...given: Parameters<typeof store.lockWebhook>): Promise<store.WebhookRow> {
  return (await store.lockWebhook(...given)) ?? missing()
}

function missing(): never {
  throw new AppError('not_found', 'There is no webhook with this id.')
}

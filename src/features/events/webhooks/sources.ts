import { createHmac } from 'node:crypto'
import type { Db } from '../../../db/index.ts'
import { SEALED_FOR } from '../../../db/sealed-columns.ts'
import type { SecretBox } from '../../../kernel/secret-box.ts'
import { CHANNEL_NAMES } from '../../../protocol/mdm/index.ts'
import { renderEvent } from '../api.ts'
import type { EventType } from '../catalogue.ts'
import { boundsOf, eventsById, listEvents } from '../store.ts'
import { nextEvents } from '../subscriptions-store.ts'
import type { PublishedEvent } from '../types.ts'
import { messageBounds, messagesAfter, messagesById, type DeviceMessage } from './messages-store.ts'
import { signatureHeaders } from './signature.ts'
import type { WebhookRow } from './store.ts'

/** What is sent: a body, and how it is signed at the time. */
export interface Outgoing {
  id: string
  body: string
  sign: (secrets: readonly string[], at: Date) => Record<string, string>
}

/** One of what a webhook is told, with the device in whose order it stands; null = it is not to be told after all. */
export interface Entry {
  id: number
  lane: string | null
  outgoing: Outgoing | null
}

/** Where what a webhook is told comes from: numbered, oldest first, and kept for a time. */
interface Source {
  bounds: () => Promise<{ oldest: number; newest: number }>
  after: (webhook: WebhookRow, limit: number) => Promise<Entry[]>
  byId: (ids: readonly number[]) => Promise<Map<number, Outgoing>>
}

/** The sources of webhooks by their shape. */
export type Sources = ReturnType<typeof createSources>

/** Events in our own shape; what devices say in that of NanoMDM. */
export function createSources({ db, secretBox }: { db: Db; secretBox: SecretBox }) {
  const { kysely } = db

  const firstboot: Source = {
    bounds: () => boundsOf(kysely),
    async after({ id, cursor, types }, limit) {
      const query = { after: cursor, limit }
      const page = await (types === null
        ? listEvents(kysely, query)
        : nextEvents(kysely, { ...query, types: types as EventType[] }))
      return page.map((event) => ({
        id: event.id,
        lane: event.enrollment_id === null ? event.serial_number : deviceOf(event.enrollment_id),
        outgoing: isAbout(event, id) ? null : eventMessage(event),
      }))
    },
    byId: async (ids) =>
      new Map((await eventsById(kysely, ids)).map((event) => [event.id, eventMessage(event)])),
  }

  const nanomdm: Source = {
    bounds: () => messageBounds(kysely),
    async after({ cursor }, limit) {
      const page = await messagesAfter(kysely, cursor, limit)
      return page.map((message) => ({
        id: message.id,
        lane: deviceOf(message.enrollment_id),
        outgoing: deviceMessage(message),
      }))
    },
    byId: async (ids) =>
      new Map((await messagesById(kysely, ids)).map((message) => [message.id, deviceMessage(message)])),
  }

  function deviceMessage(message: DeviceMessage): Outgoing {
    const raw = secretBox.open(message.raw, SEALED_FOR.deviceMessage(message.enrollment_id))
    return nanomdmMessage(message, raw)
  }

  return { firstboot, nanomdm }
}

/** A device and its users stand in one order. */
function deviceOf(enrollmentId: string): string {
  return enrollmentId.split(':', 1)[0] ?? enrollmentId
}

/** A webhook is not told of itself: each failure would make another one. */
function isAbout({ type, data }: PublishedEvent, id: string): boolean {
  return type.startsWith('webhook.') && data['webhook_id'] === id
}

function eventMessage(event: PublishedEvent): Outgoing {
  return standardMessage(String(event.id), JSON.stringify(renderEvent(event)))
}

/** A message that is signed as Standard Webhooks asks. */
export function standardMessage(id: string, body: string): Outgoing {
  return { id, body, sign: (secrets, at) => signatureHeaders({ id, body }, secrets, at) }
}

/** What NanoMDM's webhook says of a message (its `service/webhook/event.json`). */
export function nanomdmMessage(message: Omit<DeviceMessage, 'raw'>, raw: Uint8Array): Outgoing {
  const id = String(message.id)
  const { topic, udid, user_enrollment_id, parent_id, token_update_tally: tally } = message
  const ids = {
    id: message.enrollment_id,
    type: CHANNEL_NAMES[message.channel],
    ...(parent_id !== null && { parent_id }),
  }
  const common = {
    ids,
    ...(udid !== null && { udid }),
    ...(user_enrollment_id !== null && { enrollment_id: user_enrollment_id }),
    url_params: {},
    raw_payload: Buffer.from(raw).toString('base64'),
  }
  const { status, command_uuid } = message
  const body = JSON.stringify({
    ...{ topic, event_id: id, created_at: message.at.toISOString() },
    ...(topic === 'mdm.Connect'
      ? { acknowledge_event: { ...common, status, ...(command_uuid !== null && { command_uuid }) } }
      : { checkin_event: { ...common, ...(tally !== null && { token_update_tally: tally }) } }),
  })
  const hmac = (secret: string) => createHmac('sha256', secret).update(body).digest('base64')
  // NanoMDM's header has room for one signature.
  const sign = ([secret = '', previous]: readonly string[]) => ({
    'x-hmac-signature': hmac(secret),
    ...(previous !== undefined && { 'x-hmac-signature-previous': hmac(previous) }),
  })
  return { id, body, sign }
}

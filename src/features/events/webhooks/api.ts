import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { pageOf, pageQuery } from '../../../kernel/paging.ts'
import { resourceApi } from '../../../kernel/resource-api.ts'
import { datesOf, idParam } from '../../../kernel/schema.ts'
import * as schema from './schema.ts'
import type { DeliveryRow } from './store.ts'
import type { Webhook, Webhooks } from './webhooks.ts'

const TAGS = ['Webhooks']
const ID = 'The id of the webhook.'

/** `/webhooks`: where events are sent. */
export function webhooksApi(deps: { webhooks: Webhooks }): FastifyPluginAsyncTypebox {
  const { webhooks } = deps
  return async (app) => {
    await app.register(itself(webhooks))

    app.post(
      '/webhooks/:id/test',
      {
        config: { role: 'operator' },
        schema: {
          tags: TAGS,
          summary: 'Send a webhook a message, and say what became of it',
          description:
            'The message has the type `webhook.test` and is no event. It is sent to a disabled one too.',
          params: idParam(ID),
          response: { 200: schema.webhookTestSchema },
        },
      },
      async (request) => {
        const { status, duration_ms, answer_bytes, error } = await webhooks.test(
          request.params.id,
          request.act,
        )
        return { ok: error === null, status, duration_ms, answer_bytes, error }
      },
    )

    app.get(
      '/webhooks/:id/deliveries',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'What became of events at a webhook, the newest first',
          description: 'All that wait, failed or were given up, and the last thousand that were delivered.',
          params: idParam(ID),
          querystring: schema.deliveriesQuery,
          response: { 200: pageOf(schema.deliverySchema) },
        },
      },
      async (request) => {
        const { items, next_cursor } = await webhooks.deliveries(request.params.id, request.query)
        return { items: items.map(renderDelivery), next_cursor }
      },
    )

    app.post(
      '/webhooks/:id/replay',
      {
        config: { role: 'operator' },
        schema: {
          tags: TAGS,
          summary: 'Send a webhook events again',
          description:
            'All of its types after the one that is named, those given up among them. 410 `cursor_gone`: they are kept no more.',
          params: idParam(ID),
          body: schema.replaySchema,
          response: { 202: schema.replayedSchema },
        },
      },
      async (request, reply) => {
        const after = Number(request.body.after)
        const events = await webhooks.replay(request.params.id, after, request.act)
        return reply.code(202).send({ events })
      },
    )
  }
}

function itself(webhooks: Webhooks) {
  return resourceApi({
    path: '/webhooks',
    tags: TAGS,
    id: ID,
    view: schema.webhookSchema,
    render,
    create: {
      summary: 'Have events sent to an address',
      description:
        'It begins with what happens from now on. The answer is the only place that shows its secret.',
      body: schema.newWebhookSchema,
      run: webhooks.create,
    },
    list: {
      summary: 'Webhooks',
      description: 'Oldest first, without their secrets.',
      query: Type.Object(pageQuery),
      run: webhooks.list,
    },
    get: { summary: 'One webhook', description: 'Without its secret.', run: webhooks.get },
    update: {
      summary: 'Change a webhook',
      description:
        'What failed is tried again at once. With another secret both sign for `previous_valid_hours`.',
      body: schema.webhookPatchSchema,
      run: webhooks.update,
    },
    remove: {
      summary: 'Delete a webhook',
      description: 'What waits for it is forgotten.',
      run: webhooks.remove,
    },
  })
}

function render(webhook: Webhook) {
  const { id, name, url, shape, types, enabled, disabled_reason, waiting, dead, made_secret } = webhook
  return {
    ...{
      id,
      name,
      url,
      shape,
      types,
      enabled,
      disabled_reason,
      cursor: String(webhook.cursor),
      waiting,
      dead,
    },
    paused_until: webhook.paused_until?.toISOString() ?? null,
    previous_valid_until: webhook.previous_valid_until?.toISOString() ?? null,
    ...(made_secret !== undefined && { secret: made_secret }),
    ...datesOf(webhook),
  }
}

function renderDelivery(delivery: DeliveryRow) {
  const { event_id, type, state, tries, status, duration_ms, answer_bytes, error } = delivery
  return {
    ...{ event_id: String(event_id), type, state, tries },
    first_try_at: delivery.first_try_at?.toISOString() ?? null,
    last_try_at: delivery.last_try_at?.toISOString() ?? null,
    next_try_at: delivery.retry_at?.toISOString() ?? null,
    ...{ status, duration_ms, answer_bytes, error },
  }
}

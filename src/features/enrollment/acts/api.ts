import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Act } from '../../../kernel/act.ts'
import { takeNoBody } from '../../../kernel/schema.ts'
import { showOrdered } from '../../governor/index.ts'
import type { EnrollmentDeps } from '../deps.ts'
import { clearPasscodeOf, eraseDevice, locate, lockDeviceWith, perform, refresh } from './acts.ts'
import { readBypassCodes, readLockPins } from './codes.ts'
import type { Ordered } from './order.ts'
import { enableLostMode, plain, rename } from './orders.ts'
import * as schema from './schema.ts'

const TAGS = ['Devices']

type App = Parameters<FastifyPluginAsyncTypebox>[0]

/** What may be done to a device: acts on `/devices/{id}`, each a command that goes out before all others. */
export function actsApi(deps: EnrollmentDeps): FastifyPluginAsyncTypebox {
  return async (app) => {
    actsWithBody(app, deps)
    actsWithout(app, deps)
    codes(app, deps)
  }
}

function described(summary: string, description: string) {
  return {
    tags: TAGS,
    summary,
    description,
    params: schema.params,
    response: { 202: schema.orderedOrWaiting },
  }
}

function actsWithBody(app: App, deps: EnrollmentDeps): void {
  const config = { role: 'operator' } as const
  app.post(
    '/devices/:id/lock',
    {
      config,
      preValidation: takeNoBody,
      schema: {
        ...described(
          'Lock a device',
          'A Mac asks for a PIN then: the one given, or one that is made and kept (`lock-pin`).',
        ),
        body: schema.lockSchema,
      },
    },
    async ({ params, act, body }, reply) =>
      reply
        .code(202)
        .send(await showOrdered(deps.governor, await lockDeviceWith(deps, { ...params, act }, body))),
  )
  app.post(
    '/devices/:id/erase',
    {
      config,
      preValidation: takeNoBody,
      schema: {
        ...described(
          'Erase a device',
          'All that is on it is lost. With `return_to_service` it enrolls again by itself; an order that carries an enrollment profile for that waits for seven days at most.',
        ),
        body: schema.eraseSchema,
      },
    },
    async ({ params, act, body }, reply) =>
      reply
        .code(202)
        .send(await showOrdered(deps.governor, await eraseDevice(deps, { ...params, act }, body))),
  )
  app.post(
    '/devices/:id/lost-mode',
    {
      config,
      schema: {
        ...described(
          'Put a device into lost mode, or end that',
          'On a supervised iPhone or iPad. It shows the message and takes no other use.',
        ),
        body: schema.lostModeSchema,
      },
    },
    async ({ params, act, body }, reply) => {
      const { enabled, ...shown } = body
      const ordered = await perform(deps, { ...params, act }, () =>
        enabled ? enableLostMode(shown) : plain('DisableLostMode'),
      )
      return reply.code(202).send(await showOrdered(deps.governor, ordered))
    },
  )
  app.post(
    '/devices/:id/rename',
    {
      config,
      schema: {
        ...described('Give a device another name', 'On supervised devices.'),
        body: schema.renameSchema,
      },
    },
    async ({ params, act, body }, reply) =>
      reply
        .code(202)
        .send(
          await showOrdered(
            deps.governor,
            await perform(deps, { ...params, act }, () => rename(body.device_name)),
          ),
        ),
  )
}

function actsWithout(app: App, deps: EnrollmentDeps): void {
  type Of = { id: string; act: Act }
  const acts: [string, string, string, (of: Of) => Promise<Ordered>][] = [
    [
      'clear-passcode',
      'Clear the passcode of a device',
      'With the UnlockToken that it has given. A new one may be asked of its user.',
      (of) => perform(deps, of, (device) => clearPasscodeOf(deps, device)),
    ],
    [
      'locate',
      'Ask a device in lost mode where it is',
      'Its `location` shows the answer.',
      (of) => perform(deps, of, locate),
    ],
    [
      'refresh',
      'Ask a device for its whole inventory',
      'What it was asked for and has not told yet is not asked again. The command is the last of them.',
      (of) => refresh(deps, of),
    ],
    [
      'restart',
      'Restart a device',
      'On supervised devices.',
      (of) => perform(deps, of, () => plain('RestartDevice')),
    ],
    [
      'shut-down',
      'Turn a device off',
      'On supervised devices.',
      (of) => perform(deps, of, () => plain('ShutDownDevice')),
    ],
  ]
  for (const [name, summary, description, run] of acts)
    app.post(
      `/devices/:id/${name}`,
      { config: { role: 'operator' }, schema: described(summary, description) },
      async (request, reply) => {
        const { id } = request.params
        return reply.code(202).send(await showOrdered(deps.governor, await run({ id, act: request.act })))
      },
    )
}

function codes(app: App, deps: EnrollmentDeps): void {
  app.get(
    '/devices/:id/lock-pin',
    {
      config: { role: 'operator' },
      schema: {
        tags: TAGS,
        summary: 'The PIN with which a Mac was locked or erased',
        description:
          'The newest that it has acknowledged, else the newest that it may still take; others are `previous`. Reading it is told as `lock_pin.read`.',
        params: schema.params,
        response: { 200: schema.lockPinSchema },
      },
    },
    async ({ params, act }) => {
      const [first, ...previous] = (await readLockPins(deps, params.id, act)).map(
        ({ code, created_at, state }) => ({ pin: code, state, created_at: created_at.toISOString() }),
      )
      return { ...first!, previous }
    },
  )
  app.get(
    '/devices/:id/activation-lock-bypass-code',
    {
      config: { role: 'operator' },
      schema: {
        tags: TAGS,
        summary: 'The code that bypasses the Activation Lock of a device',
        description:
          'Once the device has told it; until then it is asked (202). Former ones are `previous`. Reading it is told as `bypass_code.read`.',
        params: schema.params,
        response: { 200: schema.bypassCodeSchema, 202: schema.bypassCodeAskedSchema },
      },
    },
    async ({ params, act }, reply) => {
      const all = await readBypassCodes(deps, params.id, act)
      const [newest, ...previous] = all.map(({ code, created_at }) => ({
        code,
        created_at: created_at.toISOString(),
      }))
      if (newest === undefined) return reply.code(202).send({ state: 'asked' })
      return reply.code(200).send({ ...newest, previous })
    },
  )
}

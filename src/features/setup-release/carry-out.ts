import type { Tx } from '../../db/index.ts'
import { actOfServer } from '../../kernel/act.ts'
import { newAppleUuid } from '../../kernel/ids.ts'
import { buildCommand } from '../../protocol/mdm/index.ts'
import type { NewStep } from '../attempts/index.ts'
import type { Enrollment } from '../devices/index.ts'
import type { ReleaseDeps } from './deps.ts'
import type { Decision, Hold } from './machine.ts'
import * as store from './store.ts'

/** So many missing things are told of at most. */
const MOST_MISSING = 100

/** A device that is held; undefined once it was forgotten. */
interface Held<D extends Decision['do']> {
  id: string
  device: Enrollment | undefined
  decision: Extract<Decision, { do: D }>
}

/** Does what was decided, and writes down the state that follows. */
export function carryOut(
  trx: Tx,
  deps: ReleaseDeps,
  { id, decision, device }: Held<Decision['do']>,
): Promise<void> {
  switch (decision.do) {
    case 'forget':
      return store.forget(trx, id)
    case 'retry':
      return save(trx, id, decision.hold)
    case 'wait':
      return wait(trx, deps, { id, decision, device })
    case 'tell':
      return tell(trx, deps, { id, decision, device })
    case 'end':
      return end(trx, deps, { id, decision, device })
  }
}

async function wait(trx: Tx, deps: ReleaseDeps, { id, decision }: Held<'wait'>): Promise<void> {
  await save(trx, id, decision.hold)
  if (!decision.isPushed) return
  const pending = await deps.commands.withPending([id], trx)
  await deps.push.request(trx, pending)
}

/** Queues DeviceConfigured. */
async function tell(trx: Tx, deps: ReleaseDeps, { id, decision, device }: Held<'tell'>): Promise<void> {
  const { because } = decision
  const missing = decision.hold.missing.slice(0, MOST_MISSING)
  const hold = { ...decision.hold, missing, configured_uuid: newAppleUuid() }
  await deps.commands.enqueue(trx, actOfServer(), {
    uuid: hold.configured_uuid,
    requestType: 'DeviceConfigured',
    body: buildCommand(hold.configured_uuid, 'DeviceConfigured', {}),
    targets: [id],
    priority: 'high',
    // A device that says that it waits is let go, however it has come.
    forced: true,
  })
  await save(trx, id, hold)
  const isAllThere = missing.length === 0 && because?.waitsFor.length === 0
  if (because === undefined || isAllThere) return
  const detail = { released_by: hold.reason, waited_for: because.waitsFor, missing }
  await note(trx, deps, device, { step: 'release', outcome: 'passed', detail })
}

/** Takes note of what the device said to DeviceConfigured. */
async function end(trx: Tx, deps: ReleaseDeps, { id, decision, device }: Held<'end'>): Promise<void> {
  const { hold, answer } = decision
  const now = deps.clock.now()
  await save(trx, id, hold)
  await deps.devices.updateEnrollment(trx, id, { awaiting_configuration: false, updated_at: now })
  const { reason: released_by, tries, missing, configured_uuid } = hold
  const isDone = answer === 'acknowledged'
  const detail = {
    ...{ released_by, tries },
    ...(missing.length > 0 && { missing }),
    ...(!isDone && { answer, error_chain: await errorChain(trx, deps, id, configured_uuid) }),
  }
  await note(trx, deps, device, { step: 'configured', outcome: isDone ? 'passed' : 'refused', detail })
  const waited = Math.max(0, now.getTime() - hold.created_at.getTime())
  await deps.events.emit(trx, {
    type: 'device.configured',
    enrollment_id: id,
    serial_number: device?.serial_number ?? null,
    attempt_id: device?.attempt_id ?? null,
    data: { released_by, tries, answer, missing, waited_seconds: Math.round(waited / 1_000) },
  })
}

async function errorChain(
  trx: Tx,
  { commands }: ReleaseDeps,
  id: string,
  uuid: string | null,
): Promise<unknown> {
  return (uuid === null ? undefined : await commands.answerTo(trx, id, uuid))?.error_chain ?? null
}

/** Adds a step to the attempt by which the device came in, as long as that is kept. */
async function note(
  trx: Tx,
  { attempts }: ReleaseDeps,
  device: Enrollment | undefined,
  step: NewStep,
): Promise<void> {
  const id = device?.attempt_id ?? null
  if (id !== null && (await attempts.find(trx, id)) !== undefined) await attempts.step(trx, id, step)
}

function save(trx: Tx, id: string, hold: Hold): Promise<void> {
  const { deadline, configured_uuid, reason, is_retried, tries, next_at, looks, released_at } = hold
  return store.update(trx, id, {
    ...{ deadline, configured_uuid, reason, is_retried, tries, next_at, looks, released_at },
    missing: JSON.stringify(hold.missing),
  })
}

import type { Act } from '../../../kernel/act.ts'
import type { Tx } from '../../../db/index.ts'
import type { Authenticate } from '../../../protocol/mdm/index.ts'
import type { Enrollment } from '../../devices/index.ts'
import type { EnrollmentDeps } from '../deps.ts'
import { noteLeft } from '../end.ts'
import { isAutomated } from '../../entry/index.ts'

type AnewDeps = Pick<EnrollmentDeps, 'ade' | 'clock' | 'commands' | 'devices' | 'identity' | 'push'>

/**
 * Puts away what was of an earlier enrollment, which is locked, and gives its row and its place to the certificate (null: to one
 * that is not known yet): nothing (queue, tokens, user channels, certificates, what the device told of itself) survives, but that
 * it is in the groups into which somebody put it.
 */
export async function beginAnew(
  trx: Tx,
  deps: AnewDeps,
  before: Enrollment,
  after: { row: Partial<Enrollment>; fingerprint: Buffer | null; act: Act },
): Promise<void> {
  const { row, fingerprint, act } = after
  await forgetQueues(trx, deps, before.id, act)
  if (before.unenrolled_at === null && !isAutomated(row.way ?? null)) await noteLeft(trx, deps, before)
  await deps.devices.updateEnrollment(trx, before.id, { ...blank(before), ...row })
  if (fingerprint === null) await deps.identity.endAll(trx, before.id, 'replaced')
  else await deps.identity.bind(trx, { enrollmentId: before.id, fingerprint, renewal: false })
}

/**
 * The same for a device that keeps its certificate: it said Authenticate, and says now that it waits in Setup Assistant, so it was
 * erased. What it told with Authenticate stays known.
 */
export async function beginAgain(trx: Tx, deps: EnrollmentDeps, before: Enrollment, act: Act): Promise<void> {
  await forgetQueues(trx, deps, before.id, act)
  const { device_name, product_name, model_name, os_version, build_version } = before
  await deps.devices.updateEnrollment(trx, before.id, {
    ...blank(before),
    ...{ device_name, product_name, model_name, os_version, build_version },
    authenticated_at: deps.clock.now(),
    updated_at: deps.clock.now(),
  })
}

async function forgetQueues(trx: Tx, deps: AnewDeps, id: string, act: Act): Promise<void> {
  const users = await deps.devices.deleteUserChannels(trx, id)
  await deps.commands.cancelAll(trx, act, [id, ...users], 're_enrolled')
  await deps.push.forget(trx, [id, ...users])
}

function blank(before: Enrollment): Partial<Enrollment> {
  return {
    push_token: null,
    token_updated_at: null,
    push_magic: null,
    unlock_token: null,
    bootstrap_token: null,
    awaiting_configuration: false,
    authenticates_again: false,
    token_update_tally: 0,
    generation: before.authenticated_at === null ? 1 : before.generation + 1,
    enrolled_at: null,
    unenrolled_at: null,
    unenroll_reason: null,
    push_state: 'waiting_for_token',
    push_reason: null,
    erased_at: null,
    lost_mode_since: null,
    // A device that was erased in lost mode is in it again (Apple asks for that).
    lost_mode_wanted: before.erased_at === null ? null : before.lost_mode_wanted,
    location: null,
    superseded_at: null,
    unregistered_at: null,
    re_enrollment_until: null,
    awaits_certificate: false,
    message_digest: null,
    device_name: null,
    product_name: null,
    model_name: null,
    os_version: null,
    build_version: null,
    supervised: null,
  }
}

/** What Authenticate tells of the device itself; what it leaves out stays as known, in one enrollment. */
export function factsOf(message: Omit<Authenticate, 'raw'>): Partial<Enrollment> {
  const told = {
    model: message.model,
    model_name: message.modelName,
    product_name: message.productName,
    device_name: message.deviceName,
    os_version: message.osVersion,
    build_version: message.buildVersion,
    imei: message.imei,
    meid: message.meid,
  }
  return Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined))
}

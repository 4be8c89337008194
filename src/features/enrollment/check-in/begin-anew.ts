import type { Act } from '../../../kernel/act.ts'
import type { Tx } from '../../../db/index.ts'
import type { Authenticate } from '../../../protocol/mdm/index.ts'
import type { Enrollment } from '../../devices/index.ts'
import type { EnrollmentDeps } from '../deps.ts'
import { noteLeft } from '../end.ts'
import { isAutomated } from '../../entry/index.ts'

/**
 * Puts away what was of an earlier enrollment, which is locked, and gives its row and its place to the certificate: nothing
 * (queue, tokens, user channels, certificates) survives.
 */
export async function beginAnew(
  trx: Tx,
  deps: EnrollmentDeps,
  before: Enrollment,
  after: { row: Partial<Enrollment>; fingerprint: Buffer; act: Act },
): Promise<void> {
  const { row, fingerprint, act } = after
  const users = await deps.devices.deleteUserChannels(trx, before.id)
  await deps.commands.cancelAll(trx, act, [before.id, ...users])
  await deps.push.forget(trx, [before.id, ...users])
  if (before.authenticated_at !== null) await deps.groups.removeDevice(trx, before.id)
  if (before.unenrolled_at === null && !isAutomated(row.way ?? null)) await noteLeft(trx, deps, before)
  await deps.devices.updateEnrollment(trx, before.id, { ...blank(before), ...row })
  await deps.identity.bind(trx, { enrollmentId: before.id, fingerprint, renewal: false })
}

function blank(before: Enrollment): Partial<Enrollment> {
  return {
    push_token: null,
    token_updated_at: null,
    push_magic: null,
    unlock_token: null,
    bootstrap_token: null,
    awaiting_configuration: false,
    token_update_tally: 0,
    generation: before.authenticated_at === null ? 1 : before.generation + 1,
    enrolled_at: null,
    unenrolled_at: null,
    unenroll_reason: null,
    push_state: 'waiting_for_token',
    push_reason: null,
    erased_at: null,
    superseded_at: null,
    unregistered_at: null,
    re_enrollment_until: null,
    message_digest: null,
  }
}

/** What Authenticate tells of the device itself; what it leaves out stays as known. */
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

import type { Tx } from '../../../db/index.ts'
import { addTime } from '../../../kernel/clock.ts'
import { AppError } from '../../../kernel/errors.ts'
import { newId } from '../../../kernel/ids.ts'
import type { Enrollment } from '../../devices/index.ts'
import { renderProfile } from '../../entry/index.ts'
import type { EnrollmentDeps } from '../deps.ts'
import type { Order } from './order.ts'

/** How a device is to return to service after it was erased. */
export interface ServiceWanted {
  wifi_profile_id?: string
}

/** The certificate of a device that comes back is asked for within so many days of the order; as long may the order wait. */
const DAYS = 7

const NO_WIFI =
  'No Wi-Fi profile is given: a device that has no other way to the network stops in Setup Assistant until somebody joins one.'

/**
 * What a device is told of its return to service. It gets a fresh enrollment profile unless it came by automated enrollment without
 * a web page: such a one fetches its own. Errors: `push_certificate_missing`.
 */
export async function serviceFor(
  trx: Tx,
  deps: EnrollmentDeps,
  device: Enrollment,
  wifi: WifiProfile | undefined,
): Promise<Pick<Order, 'fields' | 'warnings' | 'expiresAt'>> {
  const warnings = wifi === undefined ? [NO_WIFI] : []
  const network = wifi === undefined ? undefined : await wifiProfileFor(trx, deps, device, wifi)
  const fields = {
    Enabled: true,
    ...(network !== undefined && { WiFiProfileData: { $data: network.toString('base64') } }),
  }
  if (device.way === 'ade') return { fields, warnings }
  const profile = await profileFor(trx, deps, device)
  return {
    fields: { ...fields, MDMProfileData: { $data: profile.toString('base64') } },
    warnings,
    expiresAt: addTime(deps.clock.now(), DAYS, 'day'),
  }
}

/** A profile with a Wi-Fi network, and its revision that everybody gets. */
interface WifiProfile {
  id: string
  revision: number
}

function refuseWifi(detail: string): never {
  throw new AppError('invalid_request', `return_to_service.wifi_profile_id: ${detail}`, {
    faults: [{ pointer: '/return_to_service/wifi_profile_id', detail }],
  })
}

/** Finds the profile that is wanted, outside of any transaction. Errors: `invalid_request`. */
export async function findWifi(
  { profiles }: Pick<EnrollmentDeps, 'profiles'>,
  wanted: ServiceWanted | undefined,
): Promise<WifiProfile | undefined> {
  const id = wanted?.wifi_profile_id
  if (id === undefined) return undefined
  const profile = await profiles.get(id).catch((error: unknown) => {
    if (error instanceof AppError && error.code === 'not_found')
      return refuseWifi('There is no such profile.')
    throw error
  })
  const { released_revision: revision } = profile
  return revision === null ? refuseWifi('Nobody gets this profile yet.') : { id, revision }
}

/** The profile with the network to join, as this device gets it. Errors: `invalid_request`. */
async function wifiProfileFor(
  trx: Tx,
  deps: EnrollmentDeps,
  device: Enrollment,
  { id, revision }: WifiProfile,
): Promise<Buffer> {
  const person = device.user_id === null ? undefined : await deps.users.find(trx, device.user_id)
  const policy = device.policy_id === null ? undefined : await deps.policies.find(trx, device.policy_id)
  const values = new Map([
    ['device.serial_number', device.serial_number],
    ['device.udid', device.udid],
    ['device.name', device.device_name],
    ['device.product_name', device.product_name],
    ['device.os_version', device.os_version],
    ['user.user_name', person?.user_name ?? null],
    ['user.email', person?.email ?? null],
    ['user.display_name', person?.display_name ?? null],
    ['policy.name', policy?.name ?? null],
  ])
  const rendered = await deps.profiles.render(trx, { id, revision, values })
  return rendered.ok ? rendered.body : refuseWifi(rendered.detail)
}

async function profileFor(trx: Tx, deps: EnrollmentDeps, device: Enrollment): Promise<Buffer> {
  const topic = (await deps.push.certificates.current(trx))?.topic
  if (topic === undefined) throw new AppError('push_certificate_missing')
  const person = device.user_id === null ? undefined : await deps.users.find(trx, device.user_id)
  const attemptId = newId(deps.clock.now())
  const challenge = await deps.identity.newChallenge(
    trx,
    {
      attemptId,
      way: 'link',
      ...(device.policy_id !== null && { policyId: device.policy_id }),
      ...(device.serial_number !== null && { serial_number: device.serial_number }),
      ...(device.udid !== null && { udid: device.udid }),
      user: person && { id: person.id, name: person.user_name },
    },
    DAYS * 24 * 60,
  )
  return renderProfile(deps, { reference: attemptId, challenge, topic })
}

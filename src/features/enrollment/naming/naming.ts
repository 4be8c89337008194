import type { Tx } from '../../../db/index.ts'
import { actOfServer } from '../../../kernel/act.ts'
import { appleUuidOf } from '../../../kernel/ids.ts'
import { buildCommand } from '../../../protocol/mdm/index.ts'
import type { Enrollment } from '../../devices/index.ts'
import type { EnrollmentDeps } from '../deps.ts'
import { lockNames, saveNames, type DeviceName } from './names-store.ts'
import { wantedName, type WantedName } from './wanted-name.ts'

/** How often a device is told its name before it is left with the one that it shows. */
const MOST_TRIES = 2

/** What keeping names is made of. */
export type NamingDeps = Pick<
  EnrollmentDeps,
  'clock' | 'commands' | 'db' | 'devices' | 'events' | 'inventory' | 'policies' | 'users'
>

/**
 * Compares how devices are called with what their policies say, and tells them where that differs. `hasTold`: they have just said
 * how they are called, so that one which was told its name and shows another is told once more, or left.
 */
export async function keepNames(
  trx: Tx,
  deps: NamingDeps,
  ids: readonly string[],
  hasTold: boolean,
): Promise<void> {
  const devices = [...(await deps.devices.findEnrollments(trx, ids)).values()].filter(canBeNamed)
  const wanted = await wantedNames(trx, deps, devices)
  if (wanted.size === 0) return
  const known = await lockNames(trx, [...wanted.keys()])
  const saved: DeviceName[] = []
  for (const device of devices) {
    const name = wanted.get(device.id)
    const before = known.get(device.id)
    const isOfNow = before?.authenticated_at?.getTime() === device.authenticated_at?.getTime()
    if (name !== undefined) {
      const after = await keepName(trx, deps, device, name, { before: isOfNow ? before : undefined, hasTold })
      if (after !== undefined) saved.push(after)
    }
  }
  await saveNames(trx, saved)
}

/** Apple's Settings give a name to supervised devices alone, and not to those of user enrollments. */
function canBeNamed({ type, supervised, unenrolled_at, lost_mode_since }: Enrollment): boolean {
  return type === 'device' && supervised === true && unenrolled_at === null && lost_mode_since === null
}

async function wantedNames(
  trx: Tx,
  { policies, users }: NamingDeps,
  devices: readonly Enrollment[],
): Promise<Map<string, WantedName>> {
  const wanted = new Map<string, WantedName>()
  const known = new Map<string, Awaited<ReturnType<NamingDeps['policies']['find']>>>()
  for (const { policy_id: id } of devices)
    if (id !== null && !known.has(id)) known.set(id, await policies.find(trx, id))
  for (const device of devices) {
    const policy = known.get(device.policy_id ?? '')
    const template = policy?.device_name_template ?? null
    if (policy === undefined || template === null) continue
    const user = device.user_id === null ? undefined : await users.find(trx, device.user_id)
    wanted.set(device.id, wantedName(template, { device, user, policy }))
  }
  return wanted
}

/** What is to be written down of the name of a device; undefined when nothing is new. */
async function keepName(
  trx: Tx,
  deps: NamingDeps,
  device: Enrollment,
  wanted: WantedName,
  { before, hasTold }: { before: DeviceName | undefined; hasTold: boolean },
): Promise<DeviceName | undefined> {
  const row = {
    enrollment_id: device.id,
    authenticated_at: device.authenticated_at,
    updated_at: deps.clock.now(),
  }
  if ('reason' in wanted) {
    if (before?.state === 'refused' && before.wanted === wanted.wanted) return undefined
    await tellRefused(trx, deps, device, wanted)
    return { ...row, wanted: wanted.wanted, tries: 0, state: 'refused' }
  }
  const { name } = wanted
  const isSame = before?.wanted === name && before.state !== 'refused'
  if (device.device_name?.trim() === name)
    return isSame && before.state === 'named' ? undefined : { ...row, wanted: name, tries: 0, state: 'named' }
  if (isSame && (before.state === 'left' || (before.state === 'asked' && !hasTold))) return undefined
  if (isSame && before.state === 'asked' && (await isPending(trx, deps, before))) return undefined
  const tries = isSame && before.state === 'asked' ? before.tries : 0
  if (tries >= MOST_TRIES) {
    await tellLeft(trx, deps, device, name)
    return { ...row, wanted: name, tries, state: 'left' }
  }
  const after: DeviceName = { ...row, wanted: name, tries: tries + 1, state: 'asked' }
  await tell(trx, deps, after)
  return after
}

async function isPending(trx: Tx, { commands }: NamingDeps, name: DeviceName): Promise<boolean> {
  return (await commands.answerTo(trx, name.enrollment_id, uuidOf(name)))?.state === 'pending'
}

function uuidOf({ enrollment_id, updated_at, tries }: DeviceName): string {
  return appleUuidOf(`${enrollment_id} ${updated_at.toISOString()} ${tries} DeviceName`)
}

/** Tells a device its name, and asks it how it is called then. */
async function tell(trx: Tx, { commands, inventory }: NamingDeps, name: DeviceName): Promise<void> {
  const uuid = uuidOf(name)
  const act = actOfServer()
  const setting = { Item: 'DeviceName', DeviceName: name.wanted }
  await commands.enqueue(trx, act, {
    uuid,
    requestType: 'Settings',
    body: buildCommand(uuid, 'Settings', { Settings: [setting] }),
    targets: [name.enrollment_id],
  })
  await inventory.ask(trx, act, [name.enrollment_id], ['DeviceInformation'])
}

function tellLeft(trx: Tx, { events }: NamingDeps, device: Enrollment, wanted: string): Promise<void> {
  return events.emit(trx, {
    type: 'delivery.drifted',
    enrollment_id: device.id,
    serial_number: device.serial_number,
    data: { kind: 'device_name', wanted, shown: device.device_name },
  })
}

function tellRefused(
  trx: Tx,
  { events }: NamingDeps,
  device: Enrollment,
  { wanted, reason, missing }: Extract<WantedName, { reason: string }>,
): Promise<void> {
  return events.emit(trx, {
    type: 'device.name_refused',
    enrollment_id: device.id,
    serial_number: device.serial_number,
    reason,
    data: { wanted, ...(missing && { missing }) },
  })
}

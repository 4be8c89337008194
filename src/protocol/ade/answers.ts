import { serialNumberOf } from '../../kernel/serial-number.ts'
import { asRecord, MalformedValue, readerOf } from './answer-values.ts'

/** GET /account; all of it is advice. */
interface AdeAccount {
  readonly serverName: string | undefined
  readonly serverUuid: string | undefined
  /** The Apple ID of the administrator. */
  readonly adminId: string | undefined
  readonly orgName: string | undefined
  readonly orgId: string | undefined
  readonly orgIdHash: string | undefined
  /** Page sizes by path, for the paths where Apple names any. */
  readonly limits: ReadonlyMap<string, { readonly default?: number; readonly maximum?: number }>
  /** All that Apple has said. */
  readonly raw: Readonly<Record<string, unknown>>
}

/** A device as fetch, sync and details give it. Values that this version does not know are undefined, and in `raw`. */
export interface AdeDevice {
  readonly serialNumber: string
  readonly model: string | undefined
  readonly description: string | undefined
  readonly color: string | undefined
  readonly assetTag: string | undefined
  readonly deviceFamily: string | undefined
  readonly os: string | undefined
  readonly profileStatus: 'empty' | 'assigned' | 'pushed' | 'removed' | undefined
  readonly profileUuid: string | undefined
  readonly profileAssignedAt: Date | undefined
  readonly profilePushedAt: Date | undefined
  readonly assignedAt: Date | undefined
  readonly assignedBy: string | undefined
  readonly migrationDeadline: Date | undefined
  /** Of sync alone. */
  readonly opType: 'added' | 'modified' | 'deleted' | undefined
  readonly opDate: Date | undefined
  readonly raw: Readonly<Record<string, unknown>>
}

/** One page of fetch or sync. */
export interface DevicePage {
  readonly devices: readonly AdeDevice[]
  /** Records that name no device: where they stand in the page, and what is wrong. */
  readonly leftOut: readonly { readonly index: number; readonly problem: string }[]
  /** Undefined: Apple gives none that can be used. */
  readonly cursor: string | undefined
  readonly fetchedUntil: Date | undefined
  /** Undefined: Apple does not say. */
  readonly moreToFollow: boolean | undefined
}

/** What Apple did with one device. `text` is its own word. */
export interface DeviceResult {
  readonly result: 'SUCCESS' | 'NOT_ACCESSIBLE' | 'FAILED' | 'THROTTLED'
  readonly text: string
}

/** Results of an assignment, one for each serial number asked for. */
interface AssignAnswer {
  readonly devices: ReadonlyMap<string, DeviceResult>
  /** When throttled ones may be tried again. */
  readonly retryAfterSeconds: number | undefined
}

/** Apple says 1,000; what it gives is given back to it, so a longer one does no harm. */
const MAX_CURSOR = 4000
const MAX_DEVICES = 10_000
const MAX_UUID = 64
const MAX_RESULT = 200
const MAX_RETRY_SECONDS = 7 * 24 * 60 * 60
const RESULTS = ['SUCCESS', 'NOT_ACCESSIBLE', 'FAILED', 'THROTTLED'] as const
const PROFILE_STATUSES = ['empty', 'assigned', 'pushed', 'removed'] as const
const OPERATIONS = ['added', 'modified', 'deleted'] as const

/** Reads GET /account. */
export function readAccount(value: unknown): AdeAccount {
  const fields = readerOf(asRecord(value) ?? {}, '')
  return {
    serverName: fields.text('server_name'),
    serverUuid: fields.text('server_uuid', MAX_UUID),
    adminId: fields.text('admin_id') ?? fields.text('facilitator_id'),
    orgName: fields.text('org_name'),
    orgId: fields.text('org_id'),
    orgIdHash: fields.text('org_id_hash'),
    limits: readLimits(fields.raw['urls']),
    raw: fields.raw,
  }
}

/** Limits are advice: what is wrong with them is passed over. */
function readLimits(urls: unknown): AdeAccount['limits'] {
  const entries = (Array.isArray(urls) ? (urls as unknown[]) : []).flatMap((entry) => {
    const fields = asRecord(entry)
    const limit = asRecord(fields?.['limit'])
    if (typeof fields?.['uri'] !== 'string' || limit === undefined) return []
    const usual = pageSize(limit['default'])
    const maximum = pageSize(limit['maximum'])
    const sizes = {
      ...(usual !== undefined && { default: usual }),
      ...(maximum !== undefined && { maximum }),
    }
    return [[fields['uri'], sizes] as const]
  })
  return new Map(entries)
}

function pageSize(value: unknown): number | undefined {
  const size = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value
  return Number.isSafeInteger(size) && (size as number) > 0
    ? Math.min(size as number, MAX_DEVICES)
    : undefined
}

/** Reads a page of POST /server/devices or POST /devices/sync. What a fetch does not list is gone, so it has to hold a list. */
export function readPage(value: unknown, { isFetch }: { isFetch: boolean }): DevicePage {
  const fields = readerOf(value, '')
  const records = fields.list('devices') ?? (isFetch ? undefined : [])
  if (records === undefined) throw new MalformedValue('devices is missing, or no list')
  if (records.length > MAX_DEVICES) throw new MalformedValue(`devices has more than ${MAX_DEVICES} members`)
  const devices: AdeDevice[] = []
  const leftOut: { index: number; problem: string }[] = []
  for (const [index, record] of records.entries()) {
    const device = readDevice(record)
    if (typeof device === 'string') leftOut.push({ index, problem: device })
    else devices.push(device)
  }
  return {
    devices,
    leftOut,
    cursor: fields.text('cursor', MAX_CURSOR),
    fetchedUntil: fields.time('fetched_until'),
    moreToFollow: fields.flag('more_to_follow'),
  }
}

/** A record of a device, or why it is none. */
function readDevice(value: unknown): AdeDevice | string {
  const record = asRecord(value)
  if (record === undefined) return 'it is no JSON object'
  const fields = readerOf(record, '')
  const serialNumber = serialNumberOf(record['serial_number'])
  if (serialNumber === undefined) {
    return Object.hasOwn(record, 'serial_number')
      ? 'its serial_number is no serial number'
      : 'it has no serial_number'
  }
  return {
    serialNumber,
    model: fields.text('model'),
    description: fields.text('description'),
    color: fields.text('color'),
    assetTag: fields.text('asset_tag'),
    deviceFamily: fields.text('device_family'),
    os: fields.text('os'),
    profileStatus: oneOf(PROFILE_STATUSES, fields.text('profile_status')),
    profileUuid: readUuid(fields.text('profile_uuid', MAX_UUID)),
    profileAssignedAt: fields.time('profile_assign_time'),
    profilePushedAt: fields.time('profile_push_time'),
    assignedAt: fields.time('device_assigned_date'),
    assignedBy: fields.text('device_assigned_by'),
    migrationDeadline: fields.time('mdm_migration_deadline'),
    opType: oneOf(OPERATIONS, fields.text('op_type')),
    opDate: fields.time('op_date'),
    raw: record,
  }
}

/** Apple's are 32 hex digits; anything that is made of such characters may be one. */
function readUuid(text: string | undefined): string | undefined {
  return text !== undefined && /^[\w-]+$/.test(text) ? text : undefined
}

/** Reads POST /devices. Serials without an answer that can be read are left out. */
export function readDetails(
  value: unknown,
): ReadonlyMap<string, DeviceResult & { readonly device?: AdeDevice }> {
  const entries = Object.entries(readerOf(value, '').needRecord('devices'))
  return new Map(
    entries.flatMap(([name, entry]) => {
      const serial = serialNumberOf(name)
      const record = asRecord(entry)
      if (serial === undefined || record === undefined) return []
      const result = readResult(record['response_status'])
      // The name is the serial number, whether or not the object repeats it.
      const device = result.result === 'SUCCESS' ? readDevice({ ...record, serial_number: serial }) : ''
      return [[serial, { ...result, ...(typeof device !== 'string' && { device }) }] as const]
    }),
  )
}

/** Reads the results for the serials asked for; one that Apple passed over has failed. */
export function readResults(value: unknown, serials: readonly string[]): ReadonlyMap<string, DeviceResult> {
  const results = namedResults(readerOf(value, '').needRecord('devices'))
  const passedOver = { result: 'FAILED', text: 'no result in the answer' } as const
  return new Map(serials.map((serial) => [serial, results.get(serial.toUpperCase()) ?? passedOver]))
}

/** Reads the results that Apple gives with a new profile: of the serial numbers that it names. */
export function readNamedAssignment(value: unknown): AssignAnswer {
  const devices = namedResults(asRecord(asRecord(value)?.['devices']) ?? {})
  return { devices, retryAfterSeconds: readPause(value) }
}

/** Results by serial number in capitals. */
function namedResults(devices: Readonly<Record<string, unknown>>): ReadonlyMap<string, DeviceResult> {
  return new Map(
    Object.entries(devices).flatMap(([name, value]) => {
      const serial = serialNumberOf(name)
      return serial === undefined ? [] : [[serial, readResult(value)] as const]
    }),
  )
}

/** Reads the answer to an assignment. */
export function readAssignment(value: unknown, serials: readonly string[]): AssignAnswer {
  return { devices: readResults(value, serials), retryAfterSeconds: readPause(value) }
}

/** The devices have been assigned by now: an unreadable pause must not hide that. */
function readPause(value: unknown): number | undefined {
  const given = asRecord(value)?.['retry_after_seconds']
  const wait = typeof given === 'string' && /^\d{1,9}$/.test(given) ? Number(given) : given
  return typeof wait === 'number' && wait >= 0 ? Math.min(Math.ceil(wait), MAX_RETRY_SECONDS) : undefined
}

/** Reads `profile_uuid`. */
export function readProfileUuid(value: unknown): string {
  return readerOf(value, '').needText('profile_uuid', MAX_UUID)
}

/** Apple's word for what became of a device, bare or as details give it; what is no word of Apple's has failed. */
function readResult(value: unknown): DeviceResult {
  const word = asRecord(value)?.['response_status'] ?? value
  if (typeof word !== 'string') return { result: 'FAILED', text: 'a result that is no text' }
  return { result: oneOf(RESULTS, word) ?? 'FAILED', text: word.slice(0, MAX_RESULT) }
}

/** The word among those that are known, in any case, with or without space around it. */
function oneOf<T extends string>(known: readonly T[], text: string | undefined): T | undefined {
  const word = text?.trim().toLowerCase()
  return known.find((value) => value.toLowerCase() === word)
}

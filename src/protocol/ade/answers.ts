import { asRecord, MalformedValue, readerOf, readSerial } from './answer-values.ts'

/** GET /account. */
export interface AdeAccount {
  readonly serverName: string
  readonly serverUuid: string
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
  readonly cursor: string
  readonly fetchedUntil: Date | undefined
  readonly moreToFollow: boolean
}

/** What Apple did with one device. `text` is its own word. */
export interface DeviceResult {
  readonly result: 'SUCCESS' | 'NOT_ACCESSIBLE' | 'FAILED' | 'THROTTLED'
  readonly text: string
}

/** Results of an assignment, one for each serial number asked for. */
export interface AssignAnswer {
  readonly devices: ReadonlyMap<string, DeviceResult>
  /** When throttled ones may be tried again. */
  readonly retryAfterSeconds: number | undefined
}

const MAX_CURSOR = 1000
const MAX_DEVICES = 10_000
const MAX_UUID = 64
const MAX_RETRY_SECONDS = 7 * 24 * 60 * 60
const RESULTS = ['SUCCESS', 'NOT_ACCESSIBLE', 'FAILED', 'THROTTLED'] as const
const STATUSES = ['empty', 'assigned', 'pushed', 'removed'] as const
const OPERATIONS = ['added', 'modified', 'deleted'] as const

/** Reads GET /account. */
export function readAccount(value: unknown): AdeAccount {
  const fields = readerOf(value, '')
  return {
    serverName: fields.needText('server_name'),
    serverUuid: fields.needText('server_uuid', MAX_UUID),
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
  return Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : undefined
}

/** Reads a page of POST /server/devices or POST /devices/sync. */
export function readPage(value: unknown): DevicePage {
  const fields = readerOf(value, '')
  const devices = fields.needList('devices')
  if (devices.length > MAX_DEVICES) throw new MalformedValue(`devices has more than ${MAX_DEVICES} members`)
  return {
    devices: devices.map((device, index) => readDevice(device, `devices[${index}]`)),
    cursor: fields.needText('cursor', MAX_CURSOR),
    fetchedUntil: fields.time('fetched_until'),
    moreToFollow: fields.needBoolean('more_to_follow'),
  }
}

function readDevice(value: unknown, place: string): AdeDevice {
  const fields = readerOf(value, place)
  return {
    serialNumber: readSerial(fields.raw['serial_number'], `${place}.serial_number`),
    model: fields.text('model'),
    description: fields.text('description'),
    color: fields.text('color'),
    assetTag: fields.text('asset_tag'),
    deviceFamily: fields.text('device_family'),
    os: fields.text('os'),
    profileStatus: oneOf(STATUSES, fields.text('profile_status')?.toLowerCase()),
    profileUuid: fields.text('profile_uuid', MAX_UUID),
    profileAssignedAt: fields.time('profile_assign_time'),
    profilePushedAt: fields.time('profile_push_time'),
    assignedAt: fields.time('device_assigned_date'),
    assignedBy: fields.text('device_assigned_by'),
    migrationDeadline: fields.time('mdm_migration_deadline'),
    opType: oneOf(OPERATIONS, fields.text('op_type')?.toLowerCase()),
    opDate: fields.time('op_date'),
    raw: fields.raw,
  }
}

/** Reads POST /devices. Serials without an answer are left out. */
export function readDetails(
  value: unknown,
): ReadonlyMap<string, DeviceResult & { readonly device?: AdeDevice }> {
  const devices = Object.entries(readerOf(value, '').needRecord('devices'))
  return new Map(
    devices.map(([serial, entry]) => {
      const place = `devices.${readSerial(serial, 'a name in devices')}`
      const fields = readerOf(entry, place)
      const result = readResult(fields.needText('response_status'))
      // The name is the serial number, whether or not the object repeats it.
      const device =
        result.result === 'SUCCESS' ? readDevice({ ...fields.raw, serial_number: serial }, place) : undefined
      return [serial, { ...result, ...(device && { device }) }] as const
    }),
  )
}

/** Reads the results for the serials asked for; one that Apple passed over has failed. */
export function readResults(value: unknown, serials: readonly string[]): ReadonlyMap<string, DeviceResult> {
  const devices = readerOf(value, '').needRecord('devices')
  return new Map(
    serials.map((serial) => {
      const text = Object.hasOwn(devices, serial) ? devices[serial] : 'no result in the answer'
      if (typeof text !== 'string') throw new MalformedValue(`devices.${serial} is no text`)
      return [serial, readResult(text)] as const
    }),
  )
}

/** Reads the results that Apple gives with a new profile: of the serial numbers that it names. */
export function readNamedAssignment(value: unknown): AssignAnswer {
  const results = Object.entries(asRecord(asRecord(value)?.['devices']) ?? {})
  const devices = new Map(
    results.flatMap(([serial, text]) => (typeof text === 'string' ? [[serial, readResult(text)]] : [])),
  )
  return { devices, retryAfterSeconds: readPause(value) }
}

/** Reads the answer to an assignment. */
export function readAssignment(value: unknown, serials: readonly string[]): AssignAnswer {
  return { devices: readResults(value, serials), retryAfterSeconds: readPause(value) }
}

/** The devices have been assigned by now: an unreadable pause must not hide that. */
function readPause(value: unknown): number | undefined {
  const wait = asRecord(value)?.['retry_after_seconds']
  return typeof wait === 'number' && wait >= 0 ? Math.min(Math.ceil(wait), MAX_RETRY_SECONDS) : undefined
}

/** Reads `profile_uuid`. */
export function readProfileUuid(value: unknown): string {
  return readerOf(value, '').needText('profile_uuid', MAX_UUID)
}

function readResult(text: string): DeviceResult {
  return { result: oneOf(RESULTS, text.trim().toUpperCase()) ?? 'FAILED', text: text.slice(0, 200) }
}

function oneOf<T extends string>(known: readonly T[], text: string | undefined): T | undefined {
  return known.find((value) => value === text)
}

import type { Queries } from '../../../db/index.ts'
import * as facts from '../../../db/statements/delivery-facts.ts'
import type { Contents } from '../contents/contents.ts'
import { revisionsOf } from '../rings/rings.ts'
import type { FindGoods } from './decide.ts'
import { desire, keyOf, type Wanted } from './desire.ts'
import { loadGoods, type Revision, type Shelves } from './goods.ts'
import { learnIdentifiers, type IdentifierDeps } from './identifiers.ts'
import { rowsOf, type Row } from './store.ts'
import type { Device, End, Listed } from './types.ts'

/** What is known of some devices. */
export interface Known {
  devices: Map<string, Device>
  /** Those that are enrolled no more, or not yet. */
  gone: string[]
  serials: Map<string, string | null>
  rows: Map<string, Row[]>
  wanted: Map<string, Wanted[]>
  members: Map<string, facts.MemberOf[]>
  /** The groups with contents in which one of them is, or may be. */
  groupIds: string[]
  joinedAt: Map<string, Date | null>
  findGoods: FindGoods
  endOf: (row: Row) => End
}

/** What loading is made of. */
export interface LoadDeps extends Shelves {
  contents: Pick<Contents, 'items'>
  secrets: { versions: (db: Queries) => Promise<ReadonlyMap<string, string>> }
  apps: Shelves['apps'] & IdentifierDeps
}

/** Loads what a visit of these devices has to know. `learns`: what answers tell of apps is written down. */
export async function load(
  db: Queries,
  deps: LoadDeps,
  ids: readonly string[],
  options: { learns?: true } = {},
): Promise<Known> {
  const rows = Map.groupBy(await rowsOf(db, ids), (row) => row.enrollment_id)
  const devices = await facts.deviceFacts(db, ids)
  const memberships = await facts.memberships(db, ids)
  const groupIds = [...new Set(memberships.map((one) => one.group_id))]
  const items = await deps.contents.items(db, groupIds)
  const members = Map.groupBy(memberships, (one) => one.enrollment_id)
  const thingRows = [...rows.values()].flat()
  const ends = await endsOf(db, thingRows)
  if (options.learns) await learnIdentifiers(db, deps, thingRows, ends)
  const things = await revisionsOf(db, [
    ...items.map(({ kind, id }) => ({ kind, id })),
    ...thingRows.map(({ kind, thing_id: id }) => ({ kind, id })),
  ])
  const wantedOf = (id: string) => desire(items, membershipOf(members.get(id) ?? []), things, id)
  const wanted = new Map(ids.map((id) => [id, wantedOf(id)]))
  const findGoods = await loadGoods(db, deps, neededRevisions([...wanted.values()].flat(), thingRows))
  const versions = await deps.secrets.versions(db)
  const enrolled = new Set(devices.flatMap(({ id, is_gone }) => (is_gone ? [] : [id])))
  // Of an app its device may not have been visited since its identifier is known.
  const named = [...thingRows, ...[...wanted.values()].flat()]
  const channels = [...ids, ...devices.flatMap((row) => row.user_channel_ids)]
  const listed = thingRows.length === 0 ? () => NOTHING_LISTED : await listsOf(db, channels, named)
  return {
    devices: new Map(devices.map((row) => [row.id, deviceOf(row, listed, versions)])),
    gone: ids.filter((id) => !enrolled.has(id)),
    serials: new Map(devices.map((row) => [row.id, row.serial_number])),
    joinedAt: new Map(devices.map((row) => [row.id, row.joined_at])),
    rows,
    wanted,
    members,
    groupIds,
    findGoods,
    endOf: (row) => ends.get(`${row.target_id} ${row.command_uuid}`) ?? { state: 'lost', at: row.updated_at },
  }
}

/** Lists are of no matter to a device that was to have nothing. */
const NOTHING_LISTED: Listed = { profiles: null, managed: null, installed: null }

/** In which groups a device is. */
export function membershipOf(rows: readonly facts.MemberOf[]): {
  members: Set<string>
  unknown: Set<string>
} {
  const idsOf = (some: readonly facts.MemberOf[]) => new Set(some.map((row) => row.group_id))
  return {
    members: idsOf(rows.filter((row) => row.is_member)),
    unknown: idsOf(rows.filter((row) => row.is_unknown)),
  }
}

function neededRevisions(wanted: readonly Wanted[], rows: readonly Row[]): Revision[] {
  const all = [
    ...wanted.flatMap(({ kind, id, revision, fallback }) =>
      [revision, fallback?.revision ?? null].map((one) => ({ kind, id, revision: one })),
    ),
    ...rows.flatMap(({ kind, thing_id: id, ...row }) =>
      [row.revision, row.sent_revision, row.there_revision].map((revision) => ({ kind, id, revision })),
    ),
  ]
  const known = new Map<string, Revision>()
  for (const { kind, id, revision } of all)
    if (revision !== null) known.set(`${keyOf(kind, id)} ${revision}`, { kind, id, revision })
  return [...known.values()]
}

function deviceOf(
  row: facts.DeviceFacts,
  listed: (id: string) => Listed,
  secrets: ReadonlyMap<string, string>,
): Device {
  return {
    id: row.id,
    generation: row.generation,
    type: row.type,
    platform: row.platform,
    osVersion: row.os_version,
    isHeld: row.is_held,
    isLost: row.is_lost,
    userChannelId: row.user_channel_ids[0] ?? null,
    users: new Map(row.user_channel_ids.map((id) => [id, listed(id).profiles])),
    values: new Map([
      ['device.serial_number', row.serial_number],
      ['device.udid', row.udid],
      ['device.name', row.device_name],
      ['device.product_name', row.product_name],
      ['device.os_version', row.os_version],
      ['user.user_name', row.user_name],
      ['user.email', row.email],
      ['user.display_name', row.display_name],
      ['policy.name', row.policy_name],
      ...secrets,
    ]),
    listed: listed(row.id),
  }
}

async function listsOf(
  db: Queries,
  ids: readonly string[],
  named: readonly Pick<Row, 'kind' | 'identifier'>[],
): Promise<(id: string) => Listed> {
  const identifiersOf = (kind: Row['kind']) => [
    ...new Set(named.flatMap((one) => (one.kind === kind ? (one.identifier ?? []) : []))),
  ]
  const times = await facts.listTimes(db, ids)
  const at = new Map(times.map((row) => [`${row.enrollment_id} ${row.kind}`, row.received_at]))
  const profiles = Map.groupBy(
    await facts.listedProfiles(db, ids, identifiersOf('profile')),
    (row) => row.enrollment_id,
  )
  const apps = Map.groupBy(await facts.listedApps(db, ids, identifiersOf('app')), (row) => row.enrollment_id)
  return (id) => {
    const time = (kind: string) => at.get(`${id} ${kind}`)
    return {
      profiles: profilesOf(time('profiles'), profiles.get(id) ?? []),
      managed: managedOf(time('managed_applications'), apps.get(id) ?? []),
      installed: installedOf(time('installed_applications'), apps.get(id) ?? []),
    }
  }
}

function profilesOf(at: Date | undefined, rows: readonly facts.ListedProfile[]): Listed['profiles'] {
  if (at === undefined) return null
  const uuids = new Map<string, string[]>()
  for (const { identifier, uuid } of rows)
    uuids.set(identifier, [...(uuids.get(identifier) ?? []), uuid.toLowerCase()])
  return { at, uuids }
}

function managedOf(at: Date | undefined, rows: readonly facts.ListedAppRow[]): Listed['managed'] {
  if (at === undefined) return null
  return {
    at,
    apps: new Map(
      rows.flatMap((row) => (row.managed_status === null ? [] : [[row.identifier, row.managed_status]])),
    ),
  }
}

/** A list of managed apps alone tells of those that are in it, so each has its own time. */
function installedOf(at: Date | undefined, rows: readonly facts.ListedAppRow[]): Listed['installed'] {
  const there = rows.filter((row) => row.is_installed)
  if (at === undefined && there.length === 0) return null
  return {
    at: at ?? null,
    apps: new Map(
      there.map(({ identifier, version, short_version, is_installing: installing, received_at }) => [
        identifier,
        { version, short_version, installing, at: received_at },
      ]),
    ),
  }
}

async function endsOf(db: Queries, rows: readonly Row[]): Promise<Map<string, End>> {
  const of = rows.flatMap(({ command_uuid: uuid, target_id: targetId }) =>
    uuid === null || targetId === null ? [] : [{ uuid, targetId }],
  )
  const ends = new Map<string, End>()
  for (const row of await facts.commandEnds(db, of)) {
    const end = endOf(row)
    if (end !== undefined) ends.set(`${row.enrollment_id} ${row.command_uuid}`, end)
  }
  return ends
}

function endOf({
  request_type: requestType,
  is_live,
  sent_at,
  may_be_done,
  end_state,
  error_chain,
  reason,
  finished_at,
}: facts.CommandEnd): End | undefined {
  if (is_live) return { state: 'live', sentAt: sent_at, mayBeDone: may_be_done === true }
  if (end_state === null || finished_at === null) return undefined
  if (end_state === 'error' || end_state === 'format_error')
    return { state: end_state, at: finished_at, chain: error_chain, requestType }
  if (end_state === 'cancelled') return { state: end_state, at: finished_at, reason }
  if (end_state === 'acknowledged') return { state: end_state, at: finished_at, requestType }
  return { state: end_state, at: finished_at }
}

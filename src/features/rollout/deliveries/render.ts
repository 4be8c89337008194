import type { Db, Queries } from '../../../db/index.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { rowOfCommand } from '../../../db/statements/delivery-facts.ts'
import { need as askForVisits } from '../../../db/statements/delivery-needs.ts'
import { secretOf } from '../../../kernel/template.ts'
import { writeCommand } from '../../../protocol/mdm/index.ts'
import type { Events } from '../../events/index.ts'
import type { Rendered } from '../profiles/rendering.ts'
import type { Secrets } from '../secrets/secrets.ts'
import { commandFor, type Shelves } from './goods.ts'
import { thereOf } from './judge.ts'
import { load, type LoadDeps } from './load.ts'
import { fail } from './settle.ts'
import { lockDevice, noteRendered, saveRows, type Row } from './store.ts'
import type { Device } from './types.ts'

type Values = ReadonlyMap<string, string | null>

/** What rendering is made of. */
export interface RenderDeps extends LoadDeps {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  secrets: LoadDeps['secrets'] & Pick<Secrets, 'open'>
  profiles: Shelves['profiles'] & {
    render: (db: Queries, of: { id: string; revision: number; values: Values }) => Promise<Rendered>
  }
}

/** A command as it goes out; `as_queued`: as it stands in the queue; `not_wanted`: not at all, and it is to be taken back. */
type RenderedCommand = Buffer | 'as_queued' | 'not_wanted'

type Refused = { refused: string }
type Made = { body: Buffer; rendering: string }

/**
 * The command that brings something to `targetId`, made at the moment at which it goes out: only then is it filled in and signed. One
 * that cannot be made is noted as failed, and not wanted.
 */
export async function renderCommand(
  deps: RenderDeps,
  targetId: string,
  uuid: string,
): Promise<RenderedCommand> {
  const { db } = deps
  const row = await rowOfCommand(db.kysely, targetId, uuid)
  if (row === undefined) return 'not_wanted'
  if (!row.is_wanted || row.sent_revision === null) return 'as_queued'
  const of = { id: row.thing_id, revision: row.sent_revision }
  const made =
    row.kind === 'profile'
      ? await makeProfile(deps, row, { ...of, uuid })
      : await makeApp(deps, row, { ...of, uuid })
  if (made === undefined) return 'as_queued'
  if ('refused' in made) {
    await noteRefused(deps, row, made.refused)
    return 'not_wanted'
  }
  if (made.rendering !== row.sent_rendering)
    await db.transaction((trx) => noteRendered(trx, row, made.rendering))
  return made.body
}

type Wanted = { id: string; revision: number; uuid: string }

async function makeProfile(
  deps: RenderDeps,
  row: Row,
  { id, revision, uuid }: Wanted,
): Promise<Made | Refused> {
  const { db, profiles } = deps
  const [facts] = await profiles.findRevisions(db.kysely, [{ id, revision }])
  // What names no variable is the same for all, and made already.
  const values: Values = facts?.variables.length === 0 ? new Map() : (await deviceOf(deps, row)).values
  const rendered = await profiles.render(db.kysely, { id, revision, values })
  if (!rendered.ok) return { refused: rendered.reason }
  const body = writeCommand(uuid, 'InstallProfile', { Payload: Uint8Array.from(rendered.body) })
  return { body, rendering: rendered.rendering }
}

async function makeApp(
  deps: RenderDeps,
  row: Row,
  { id, revision, uuid }: Wanted,
): Promise<Made | Refused | undefined> {
  const { db, apps } = deps
  const there = thereOf(row)
  const revisions = [...new Set([revision, there?.revision ?? revision])].map((one) => ({
    id,
    revision: one,
  }))
  const facts = await apps.findRevisions(db.kysely, revisions)
  const own = facts.find((one) => one.revision === revision)
  if (own === undefined) return { refused: 'app_deleted' }
  const device = await withSecrets(deps, await deviceOf(deps, row), own.variables)
  const command = commandFor(own, device, there, (other) => facts.find((one) => one.revision === other))
  if (command === null) return undefined
  if (!command.ok) return { refused: command.reason }
  return {
    body: writeCommand(uuid, command.requestType, command.command),
    rendering: row.sent_rendering ?? '',
  }
}

/** The device, whose values are those of secrets now and not their versions. */
async function withSecrets(
  { db, secrets }: RenderDeps,
  device: Device,
  variables: readonly string[],
): Promise<Device> {
  const names = variables.flatMap((name) => secretOf(name) ?? [])
  if (names.length === 0) return device
  const values = new Map(device.values)
  const known = await secrets.open(db.kysely, names)
  for (const name of names) values.set(`secret.${name}`, known.get(name)?.value ?? null)
  return { ...device, values }
}

async function deviceOf(deps: RenderDeps, { enrollment_id: id }: Row): Promise<Device> {
  const device = (await load(deps.db.kysely, deps, [id])).devices.get(id)
  if (device === undefined) throw new Error(`The device ${id} is gone.`)
  return device
}

async function noteRefused(
  { db, clock, events }: RenderDeps,
  { enrollment_id, target_id, command_uuid }: Row,
  reason: string,
): Promise<void> {
  await db.transaction(async (trx) => {
    await lockDevice(trx, enrollment_id)
    const row = await rowOfCommand(trx, target_id ?? '', command_uuid ?? '')
    if (row === undefined) return
    row.command_uuid = null
    row.target_id = null
    fail(row, { reason, pauses: [] }, null, clock.now())
    await saveRows(trx, [row])
    const { kind, thing_id: id, identifier, revision, cause, change_id } = row
    const data = { kind, id, identifier, revision, cause, change_id }
    await events.emit(trx, { type: 'delivery.failed', enrollment_id, reason, data })
    // What comes after it may have its turn now.
    await askForVisits(trx, [enrollment_id], { cause: 'answered', changeId: null, now: clock.now() })
  })
}

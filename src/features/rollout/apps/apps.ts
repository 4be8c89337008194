import type { Db, Tx } from '../../../db/index.ts'
import type { Act } from '../../../kernel/act.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { AppError } from '../../../kernel/errors.ts'
import { newId } from '../../../kernel/ids.ts'
import { isLoopbackHost } from '../../../kernel/loopback.ts'
import type { Events } from '../../events/index.ts'
import { refuseWhileReleased, refuseWhileUsed } from '../profiles/uses.ts'
import { createRevisionFacts } from './facts.ts'
import { checkOptions, DEFAULT_OPTIONS, differences, patchedOptions } from './options.ts'
import { type AppView, createAppQueries, missing, withNewest } from './queries.ts'
import {
  type App,
  type AppRevision,
  type NewRevision,
  deleteApp,
  findRevisionRows,
  insertApp,
  insertRevision,
  lockApp,
  lockAppToDelete,
  noteIdentifier,
  updateApp,
} from './store.ts'

/** What makes an app, and what changes it: fields of the API, checked in form. */
export interface NewApp extends AppPatch {
  kind: App['kind']
  name: string
  itunes_store_id?: number
}
export interface AppPatch {
  name?: string
  identifier?: string
  manifest_url?: string | null
  [option: string]: unknown
}

/** Whether a new revision is for everybody at once. */
type Release = { isReleased: boolean }

/** What apps are made of. */
export interface AppsDeps {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  publicUrl: string
}

/** Apps that groups deliver. */
export type Apps = ReturnType<typeof createApps>

/** The apps with their revisions; every change is told as an event. */
export function createApps(deps: AppsDeps) {
  const { db, clock, events, publicUrl } = deps

  async function create(given: NewApp, act: Act): Promise<AppView> {
    checkKind(given)
    const first: NewRevision = {
      manifest_url: checkUrl(given.manifest_url ?? null),
      package_id: null,
      options: patchedOptions(DEFAULT_OPTIONS, given),
    }
    checkOptions(first.options)
    const now = clock.now()
    const { kind, name, itunes_store_id = null, identifier = null } = given
    const row = { id: newId(now), kind, name, itunes_store_id, identifier }
    return db.transaction(async (trx) => {
      const app = await insertApp(trx, row, first, now)
      await events.emit(trx, { type: 'app.created', act, data: { ...about(app), kind } })
      return withNewest(trx, app)
    })
  }

  function update(id: string, patch: AppPatch, act: Act, { isReleased }: Release): Promise<AppView> {
    return db.transaction(async (trx) => {
      const app = await lockChecked(trx, id, act)
      const before = await withNewest(trx, app)
      const change = changeOf(app, before.newest, patch)
      if (change === undefined) return before
      return write(trx, change.app, { ...change, isReleased }, act)
    })
  }

  /** Writes an app, with its next revision if there is one. Throws AppError `rollout_running` where it is for everybody at once. */
  async function write(
    trx: Tx,
    app: App,
    { next, changed, isReleased }: Release & { next: NewRevision | null; changed: string[] },
    act: Act,
  ): Promise<AppView> {
    const now = clock.now()
    const { id, name, identifier } = app
    const revision = next === null ? app.revision : app.revision + 1
    if (next !== null) await insertRevision(trx, { id, revision }, next, now)
    const isForAll = next !== null && isReleased
    if (isForAll) await refuseWhileReleased(trx, 'app', id)
    const released_revision = isForAll ? revision : app.released_revision
    const after = await updateApp(trx, id, { name, identifier, revision, released_revision }, now)
    await events.emit(trx, {
      type: 'app.updated',
      act,
      data: { ...about(after), changed, released: isForAll },
    })
    return withNewest(trx, after)
  }

  async function remove(id: string, act: Act): Promise<void> {
    await db.transaction(async (trx) => {
      const app = (await lockAppToDelete(trx, id)) ?? missing()
      act.checkVersion(app.version)
      await refuseWhileUsed(trx, 'app', app)
      await deleteApp(trx, id)
      await events.emit(trx, { type: 'app.deleted', act, data: about(app) })
    })
  }

  async function lockChecked(trx: Tx, id: string, act: Act): Promise<App> {
    const app = (await lockApp(trx, id)) ?? missing()
    act.checkVersion(app.version)
    return app
  }

  return {
    ...createAppQueries(deps),
    create,
    update,
    write,
    remove,
    lockChecked,
    /** Facts of stored revisions, in the order asked for; those that are not there are left out. */
    findRevisions: createRevisionFacts(publicUrl),
    /** Makes a stored revision, newer or older, the one that everybody gets. Throws AppError `not_found`. */
    async release(trx: Tx, id: string, revision: number, act: Act): Promise<void> {
      const app = (await lockApp(trx, id)) ?? missing()
      const [found] = await findRevisionRows(trx, [{ id, revision }])
      if (found === undefined) throw new AppError('not_found', 'There is no such revision of this app.')
      if (app.released_revision === revision) return
      const after = await updateApp(trx, id, { released_revision: revision }, clock.now())
      await events.emit(trx, {
        type: 'app.updated',
        act,
        data: { ...about(after), revision, changed: ['released_revision'], released: true },
      })
    },
    /** Notes the bundle identifier that a device told of an app of which nobody knew it; false when it is known. */
    noteIdentifier,
  }
}

/** What a patch makes of an app; undefined when it changes nothing. */
function changeOf(
  app: App,
  newest: AppRevision,
  patch: AppPatch,
): { app: App; next: NewRevision | null; changed: string[] } | undefined {
  const options = patchedOptions(newest.options, patch)
  checkOptions(options)
  const source = sourceAfter(app, newest, patch)
  const changed = [
    ...(patch.name === undefined || patch.name === app.name ? [] : ['name']),
    ...changeOfIdentifier(app, newest, patch.identifier),
    ...(source === newest ? [] : ['manifest_url']),
    ...differences(newest.options, options),
  ]
  if (changed.length === 0) return undefined
  const isNew = changed.some((name) => name !== 'name' && name !== 'identifier')
  return {
    app: { ...app, name: patch.name ?? app.name, identifier: patch.identifier ?? app.identifier },
    next: isNew ? { ...pick(source), options } : null,
    changed,
  }
}

/** What an event says of an app. */
function about({ id, name, revision }: App) {
  return { app_id: id, name, revision }
}

function pick({ manifest_url, package_id }: AppRevision | Omit<NewRevision, 'options'>) {
  return { manifest_url, package_id }
}

/** Where the app comes from after a patch: the same object when that stays. */
function sourceAfter(
  app: App,
  newest: AppRevision,
  { manifest_url: url }: AppPatch,
): AppRevision | Omit<NewRevision, 'options'> {
  if (url === undefined || (url === newest.manifest_url && newest.package_id === null)) return newest
  if (app.kind === 'store') throw wrong('manifest_url', 'is for enterprise apps alone')
  // Nothing in the place of a manifest leaves a package where it is.
  if (url === null && newest.package_id !== null) return newest
  return { manifest_url: checkUrl(url), package_id: null }
}

function changeOfIdentifier(app: App, newest: AppRevision, identifier: string | undefined): string[] {
  const known = newest.package?.identifier ?? app.identifier
  if (identifier === undefined || identifier === known) return []
  if (known !== null) throw new AppError('identifier_changed', `The bundle identifier is ${known}.`)
  return ['identifier']
}

function checkKind({ kind, itunes_store_id, manifest_url }: NewApp): void {
  const isStore = kind === 'store'
  if (isStore && itunes_store_id === undefined) throw wrong('itunes_store_id', 'is missing')
  if (!isStore && itunes_store_id !== undefined) throw wrong('itunes_store_id', 'is for store apps alone')
  if (isStore && typeof manifest_url === 'string') {
    throw wrong('manifest_url', 'is for enterprise apps alone')
  }
}

/** The address of a manifest, which devices fetch: https, or this machine's own. */
function checkUrl(text: string | null): string | null {
  if (text === null) return null
  const url = URL.canParse(text) && !/[\s\\]/.test(text) ? new URL(text) : undefined
  if (url === undefined) throw wrong('manifest_url', 'is no address')
  const isOpen = url.protocol === 'http:' && isLoopbackHost(url.hostname)
  if (url.protocol !== 'https:' && !isOpen) throw wrong('manifest_url', 'must be https, except on loopback')
  if (url.username !== '' || url.password !== '') {
    throw wrong('manifest_url', 'must not hold a name and password: devices do not send them')
  }
  return text
}

function wrong(path: string, message: string): AppError {
  return new AppError('invalid_request', `The field ${path} ${message}.`, { fields: [{ path, message }] })
}

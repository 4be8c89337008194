import type { FileHandle } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import type { Act } from '../../../kernel/act.ts'
import { AppError, describeError } from '../../../kernel/errors.ts'
import { newId, newSecret, sha256 as hashOf } from '../../../kernel/ids.ts'
import type { Log } from '../../../kernel/log.ts'
import type { IpaFacts, IpaReader } from '../../../protocol/ipa/index.ts'
import type { Apps, AppsDeps } from './apps.ts'
import { createManifests } from './manifests.ts'
import { type PackageFiles, type Received, tooLarge } from './package-files.ts'
import { findPackageByKey, insertPackage, usedPackages } from './packages-store.ts'
import { type AppView, withNewest } from './queries.ts'
import type { AppPackage } from './store.ts'

/** Keys have this form; anything else is asked of nobody. */
const KEY = /^[\w-]{43}$/

type Deps = Pick<AppsDeps, 'db' | 'clock' | 'publicUrl'> & {
  log: Log
  apps: Apps
  files: PackageFiles
  ipa: IpaReader
  /** The largest package, in bytes. */
  limit: () => Promise<number>
}

/** Packages that this server hosts. */
export type Packages = ReturnType<typeof createPackages>

/** What administrators upload, and devices fetch. */
export function createPackages(deps: Deps) {
  const { db, clock, log, apps, files, ipa } = deps
  const makeManifest = createManifests(deps)

  /**
   * Stores an IPA as the next revision of an enterprise app; the same one again changes nothing. Throws AppError `not_found`,
   * `conflict`, `precondition_failed`, `payload_too_large`, `package_invalid` and `identifier_changed`.
   */
  async function upload(
    appId: string,
    body: Readable,
    act: Act,
    options: { isReleased: boolean; declared: number | undefined },
  ): Promise<AppView> {
    const limit = await deps.limit()
    check(await apps.get(appId), act)
    if (options.declared !== undefined && options.declared > limit) throw tooLarge(limit)
    const id = newId(clock.now())
    const received = await files.receive(id, body, limit)
    try {
      const facts = await ipa.read(received.path, received.size)
      return await store({ id, appId, received, facts }, act, options.isReleased)
    } catch (error) {
      // After a refusal nothing was written; whether a commit that broke off was made, the sweep finds out.
      const isRefusal = error instanceof AppError && describeError(error.code).status < 500
      await (isRefusal ? files.remove(id) : files.discard(id))
      throw error
    }
  }

  async function store(
    given: { id: string; appId: string; received: Received; facts: IpaFacts },
    act: Act,
    isReleased: boolean,
  ): Promise<AppView> {
    const { id, appId, received, facts } = given
    const before = check(await apps.get(appId), act)
    const same = before.newest.package
    if (same?.sha256.equals(received.sha256) === true) {
      // The file may have been lost meanwhile.
      await files.complete(id, same.id)
      return before
    }
    await files.complete(id)
    const { size, sha256, part_bytes, part_sha256s } = received
    return db.transaction(async (trx) => {
      const app = await apps.lockChecked(trx, appId, act)
      const { newest } = check(await withNewest(trx, app), act)
      const known = newest.package?.identifier ?? app.identifier
      if (known !== null && known !== facts.identifier) throw isAnother(known, facts.identifier)
      const row = { id, app_id: appId, key: newSecret(), size, sha256, part_bytes, part_sha256s, ...facts }
      await insertPackage(trx, { ...row, created_at: clock.now() })
      const next = { manifest_url: null, package_id: id, options: newest.options }
      const named = { ...app, identifier: facts.identifier }
      return apps.write(trx, named, { next, changed: ['package'], isReleased }, act)
    })
  }

  async function find(key: string): Promise<AppPackage> {
    const own = KEY.test(key) ? await findPackageByKey(db.kysely, key) : undefined
    if (own === undefined) throw new AppError('not_found')
    return own
  }

  return {
    upload,
    /** The manifest under a key. Throws AppError `not_found`. */
    async manifest(key: string): Promise<{ text: string; sha256: Buffer }> {
      const text = await makeManifest(await find(key))
      return { text, sha256: hashOf(text) }
    },
    /** The package under a key. Throws AppError `not_found`. */
    find,
    /** Its file, which the caller closes. Throws AppError `not_found` when it is not there, which is told in the log. */
    async open(own: AppPackage): Promise<FileHandle> {
      const handle = await files.open(own.id, own.size)
      if (handle !== undefined) return handle
      log.error(
        { event: 'app.package_missing', app_id: own.app_id, package_id: own.id },
        'the file of an app package is not in the data folder; upload it again, or share the folder among all processes',
      )
      throw new AppError('not_found')
    },
    /** Removes files of packages that are of no use any more. */
    async sweep(): Promise<void> {
      const removed = await files.sweep(clock.now(), (ids) => usedPackages(db.kysely, ids))
      if (removed > 0) log.info({ event: 'app.packages_swept', removed }, 'files of packages were removed')
    },
  }
}

function check(app: AppView, act: Act): AppView {
  act.checkVersion(app.version)
  if (app.kind === 'enterprise') return app
  throw new AppError('conflict', 'This app comes from the App Store; a package is for an enterprise app.')
}

function isAnother(known: string, given: string): AppError {
  return new AppError('identifier_changed', `The bundle identifier of the app is ${known}, not ${given}.`)
}

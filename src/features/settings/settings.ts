import type { Db, Queries, Tx } from '../../db/index.ts'
import { holdSourceKind } from '../../db/statements/uses.ts'
import type { Act } from '../../kernel/act.ts'
import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import type { Events } from '../events/index.ts'
import { type SettingsRow, lockSettings, readSettings, writeSettings } from './store.ts'
import { type Overrides, type Settings, type SettingsPatch, withDefaults } from './schema.ts'

/** What another process changed is seen at most this much later. */
const VALID_MS = 2_000

/** The settings with what the API tells besides. */
export type SettingsView = { settings: Settings; version: number; created_at: Date; updated_at: Date }

/** The settings of the installation. */
export type SettingsDoor = ReturnType<typeof createSettings>

/** The settings; a change is told as an event, and seen by other processes within 2 s. */
export function createSettings(deps: { db: Db; clock: Clock; events: Pick<Events, 'emit'> }) {
  const { db, clock, events } = deps
  let cached: { settings: Settings; until: number; version: number } | undefined

  function remember(row: SettingsRow, since: number): Settings {
    const settings = withDefaults(row.values)
    // A slow reader must not bring back what a change has just replaced.
    if (cached === undefined || row.version >= cached.version) {
      cached = { settings, until: since + VALID_MS, version: row.version }
    }
    return settings
  }

  async function checkSource(trx: Tx, id: string | null | undefined): Promise<void> {
    if (id === undefined || id === null || (await holdSourceKind(trx, id)) !== undefined) return
    const field = { path: 'enroll_sign_in_source_id', message: 'is no sign-in source' }
    throw new AppError('invalid_request', `${field.path} ${field.message}.`, { fields: [field] })
  }

  return {
    /**
     * The settings, at most 2 s old; a change in this process is seen at once. Inside a transaction hand over its
     * `trx`: the embedded database has one connection.
     */
    async get(executor: Queries = db.kysely): Promise<Settings> {
      const now = clock.now().getTime()
      if (cached !== undefined && cached.until > now) return cached.settings
      return remember(await readSettings(executor), now)
    },

    /** The settings as they are this moment. */
    async view(): Promise<SettingsView> {
      return toView(await readSettings(db.kysely))
    },

    /**
     * Changes what the patch names. Throws AppError `invalid_request` for a sign-in source that does not exist, and
     * `precondition_failed`.
     */
    async update(patch: SettingsPatch, act: Act): Promise<SettingsView> {
      const row = await db.transaction(async (trx) => {
        const before = await lockSettings(trx)
        act.checkVersion(before.version)
        await checkSource(trx, patch.enroll_sign_in_source_id)
        const values = merge(before.values, patch)
        const changed = changes(withDefaults(before.values), withDefaults(values))
        if (Object.keys(changed).length === 0) return before
        const after = await writeSettings(trx, values, clock.now())
        await events.emit(trx, { type: 'settings.changed', act, data: { changed } })
        return after
      })
      remember(row, clock.now().getTime())
      return toView(row)
    },
  }
}

function toView({ values, version, created_at, updated_at }: SettingsRow): SettingsView {
  return { settings: withDefaults(values), version, created_at, updated_at }
}

function merge(values: Overrides, patch: SettingsPatch): Overrides {
  const merged = { ...values }
  for (const [name, value] of Object.entries(patch)) {
    if (value === null && name !== 'default_device_limit') delete merged[name]
    else if (value !== undefined) merged[name] = value
  }
  return merged
}

function changes(before: Settings, after: Settings): Record<string, { before: unknown; after: unknown }> {
  const names = Object.keys(after) as (keyof Settings)[]
  return Object.fromEntries(
    names
      .filter((name) => before[name] !== after[name])
      .map((name) => [name, { before: before[name], after: after[name] }]),
  )
}

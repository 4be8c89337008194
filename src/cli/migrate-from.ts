import { UsageError } from './verb.ts'
import { migrateFrom as verb } from './verbs/index.ts'

/** What `firstboot migrate-from` was asked to do. */
export type MigrateFromOptions = ReturnType<typeof readMigrateFrom>

/** Its options; throws UsageError unless they name one place to move in from, or CAs alone. */
export function readMigrateFrom(given: Readonly<Record<string, unknown>>) {
  const text = (name: string) => (typeof given[name] === 'string' ? given[name] : undefined)
  const databaseUrl = text('database_url')
  const folder = text('folder')
  const places = [databaseUrl, folder].filter((place) => place !== undefined).length
  if (places > 1 || (places === 0 && text('ca') === undefined))
    throw new UsageError('one of --database-url and --folder says where NanoMDM keeps its devices', verb)
  if (databaseUrl !== undefined && !/^postgres(ql)?:\/\//.test(databaseUrl))
    throw new UsageError(
      '--database-url must begin with postgres://. From another database nano2nano sends devices to /migration.',
      verb,
    )
  return { databaseUrl, folder, caPem: text('ca'), only: text('only'), dryRun: given['dry_run'] === true }
}

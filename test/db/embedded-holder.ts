/** Run as a process: opens the embedded database of a folder, says so (or why not) on its IPC channel, and keeps it. */
import { pino } from 'pino'
import { migrateToLatest, openDatabase } from '../../src/db/index.ts'

const [, , dataDir = ''] = process.argv
const say = (message: unknown) => process.send?.(message)
try {
  const db = await openDatabase({ dataDir, log: pino({ level: 'silent' }) })
  await migrateToLatest(db)
  say('open')
  for (let n = 1; ; n += 1) {
    await db.prepared('note', 'insert into notes (n) values ($1)', [n]).then(
      () => say(n),
      () => undefined,
    )
  }
} catch (error) {
  say(String(error))
  process.disconnect()
}

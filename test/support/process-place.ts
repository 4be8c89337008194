import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { copyEmbedded, testDatabase, type Engine } from './database.ts'

/** A migrated database for a server that is a process of its own; it goes with the test. */
export async function placeOf(engine: Engine, folder: string): Promise<{ url?: string; dataDir: string }> {
  if (engine === 'embedded') {
    const dataDir = join(folder, 'data')
    copyEmbedded(dataDir)
    return { dataDir }
  }
  const database = await testDatabase(engine)
  onTestFinished(database.close)
  return database.location
}

import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { inject, onTestFinished } from 'vitest'
import { testDatabase, type Engine } from './database.ts'

/** A migrated database for a server that is a process of its own; it goes with the test. */
export async function placeOf(engine: Engine, folder: string): Promise<{ url?: string; dataDir: string }> {
  if (engine === 'embedded') {
    const dataDir = join(folder, 'data')
    await cp(inject('embeddedTemplate'), dataDir, { recursive: true })
    return { dataDir }
  }
  const database = await testDatabase(engine)
  onTestFinished(database.close)
  return database.location
}

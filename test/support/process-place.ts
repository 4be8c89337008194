import { cp } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
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

/** A port that nothing listens on at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

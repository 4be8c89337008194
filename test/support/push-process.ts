import { pino } from 'pino'
import { openDatabase } from '../../src/db/index.ts'
import type { FakeApns } from '../../src/simulator/push-service/fake-apns.ts'
import { pushWorld } from './push-world.ts'

/** What the process is told, as JSON in its first argument. */
export interface PushProcessOptions {
  location: { url?: string; dataDir: string }
  apnsUrl: string
  ca: string
}

// A server process that does nothing but send pushes, until it is killed.
const { location, apnsUrl, ca } = JSON.parse(process.argv[2] ?? '') as PushProcessOptions
const db = await openDatabase({ ...location, log: pino({ level: 'silent' }) })
const certificates = { ca } as FakeApns['certificates']
await pushWorld(db, { url: apnsUrl, certificates }).push.run()

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { pino } from 'pino'
import { expect, inject, onTestFinished, test } from 'vitest'
import { openDatabase, type Db } from '../../../src/db/index.ts'
import { startFakeApns } from '../../../src/simulator/push-service/fake-apns.ts'
import { copyEmbedded, testDatabase } from '../../support/database.ts'
import { manualClock } from '../../support/manual-clock.ts'
import type { PushProcessOptions } from '../../support/push-process.ts'
import { addChannels, pushWorld, tokenOf } from '../../support/push-world.ts'
import { ACT } from '../../support/act.ts'

const TOPIC = 'com.apple.mgmt.External.killed'
const SCRIPT = new URL('../../support/push-process.ts', import.meta.url).pathname

type Place = { location: PushProcessOptions['location']; open: () => Promise<Db> }

/** A database that can be opened by one process after the other. */
async function place(engine: 'postgres' | 'embedded'): Promise<Place> {
  const log = pino({ level: 'silent' })
  if (engine === 'postgres') {
    const { location, close } = await testDatabase(engine)
    onTestFinished(close)
    return { location, open: () => openDatabase({ ...location, log }) }
  }
  const dataDir = join(inject('runFolder'), randomUUID())
  copyEmbedded(dataDir)
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
  return { location: { dataDir }, open: () => openDatabase({ dataDir, log }) }
}

test.each(['postgres', 'embedded'] as const)(
  'a process killed in the middle of sending loses no push (%s)',
  async (engine) => {
    const { location, open } = await place(engine)
    const apns = await startFakeApns()
    onTestFinished(apns.close)
    const ids = Array.from({ length: 60 }, (_, index) => `device-${String(index).padStart(2, '0')}`)

    const before = await open()
    const first = pushWorld(before, apns)
    const { certificate, key } = await apns.certificates.pushCertificate(TOPIC)
    await first.push.certificates.store({ pem: certificate + key }, ACT)
    await addChannels(before, ids, TOPIC, first.clock.now())
    await first.request(ids)
    await before.close()

    for (let count = 0; count < 20; count += 1)
      apns.script('*', { status: 500, reason: 'InternalServerError' })
    for (let count = 0; count < 40; count += 1) apns.script('*', 'hold')
    const options: PushProcessOptions = { location, apnsUrl: apns.url, ca: apns.certificates.ca }
    const child = spawn(process.execPath, [SCRIPT, JSON.stringify(options)], { stdio: 'inherit' })
    while (apns.held() < 40) await pause(5)
    child.kill('SIGKILL')
    await once(child, 'exit')

    const after = await open()
    const clock = manualClock()
    clock.advance(5 * 60_000)
    const second = pushWorld(after, apns, clock)
    await second.push.run()
    const accepted = apns.pushes.filter(({ status }) => status === 200).map(({ token }) => token)
    expect(accepted.toSorted()).toEqual(ids.map(tokenOf))
    expect(
      await after.kysely
        .selectFrom('push_needs')
        .select('pushed_at')
        .where('pushed_at', 'is', null)
        .execute(),
    ).toEqual([])
    await second.push.close()
    await after.close()
  },
)

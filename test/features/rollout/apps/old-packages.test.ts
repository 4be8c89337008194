import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { describeEachEngine } from '../../../support/database.ts'
import { infoPlist, ipa } from '../../../support/zip.ts'
import { addDevice } from '../../groups/world.ts'
import { appsWorld, INSTANCE } from './world.ts'

const HOUR_MS = 60 * 60_000

describeEachEngine('packages of old revisions', (database) => {
  test('files of old revisions go when nobody has them, is to have them, or gets them by a rollout', async () => {
    const { call, clock, folder, hosted, packages } = await appsWorld(database())
    const db = database().kysely
    const first = await hosted(ipa(infoPlist({ CFBundleVersion: '1' })))
    const { id } = first.body
    for (const version of ['2', '3', '4', '5']) {
      clock.advance(1_000)
      await call('PUT', `/apps/${id}/package`, ipa(infoPlist({ CFBundleVersion: version })))
    }
    const left = async () => {
      const named = await db.selectFrom('app_revisions').selectAll().where('app_id', '=', id).execute()
      const files = await readdir(join(folder, 'packages', INSTANCE))
      return named
        .filter((row) => files.includes(`${row.package_id}.ipa`))
        .map(({ revision }) => revision)
        .toSorted()
    }
    await packages.sweep()
    expect(await left()).toEqual([2, 3, 4, 5, 6])
    clock.advance(2 * HOUR_MS)
    const device = await addDevice(database())
    await sql`
      insert into deliveries (enrollment_id, kind, thing_id, is_wanted, revision, there_revision, critical, place, group_ids,
        state, attempts, may_be_there, is_listed, asks, cause, updated_at)
      values (${device}, 'app', ${id}, true, 6, 3, false, 0, '{}', 'pending', 0, true, true, 0, 'test', now())`.execute(
      db,
    )
    await packages.sweep()
    expect(await left()).toEqual([3, 5, 6])
    await db.updateTable('apps').set({ released_revision: 3 }).where('id', '=', id).execute()
    await db.deleteFrom('deliveries').where('enrollment_id', '=', device).execute()
    await packages.sweep()
    expect(await left()).toEqual([3, 5, 6])
    await db.updateTable('apps').set({ released_revision: 6 }).where('id', '=', id).execute()
    await packages.sweep()
    expect(await left()).toEqual([5, 6])
    // A revision that only differs in its options names the same package.
    for (const name of ['a', 'b', 'c']) await call('PATCH', `/apps/${id}`, { configuration: { name } })
    await packages.sweep()
    expect(await left()).toEqual([5, 6, 7, 8, 9])
  })
})

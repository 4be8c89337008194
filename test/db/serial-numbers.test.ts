import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { migrateToLatest } from '../../src/db/index.ts'
import { databaseAfter } from '../support/old-database.ts'

test('serial numbers that were kept in other cases are in capitals, each once, with what Apple said last', async () => {
  const db = await databaseAfter('0020_ade_syncs_and_addresses')
  const { kysely } = db
  for (const [serial, model, day] of [
    ...[
      ['c02old', 'a', '2026-01-01'],
      ['C02OLD', 'b', '2026-02-01'],
    ],
    ...[
      ['C02new', 'c', '2026-03-01'],
      ['C02NEW', 'd', null],
    ],
    ['fresh', 'e', null],
    ['WHOLE', 'f', null],
  ])
    await sql`insert into ade_devices (serial_number, model, op_date, created_at, updated_at)
      values (${serial}, ${model}, ${day}, now(), now())`.execute(kysely)
  for (const [id, serial] of [
    ['one', 'c02old'],
    ['two', 'no serial\u2028'],
    ['three', null],
  ])
    await sql`insert into enrollments (id, type, serial_number, created_at, updated_at)
      values (${id}, 'device', ${serial}, now(), now())`.execute(kysely)
  for (const [id, serial] of [
    ['low', 'fresh'],
    ['high', 'WHOLE'],
  ])
    await sql`insert into enrollment_attempts (id, way, serial_number, outcome, deadline, created_at, updated_at)
      values (${id}, 'ade', ${serial}, 'in_progress', now(), now(), now())`.execute(kysely)

  await migrateToLatest(db)

  const devices = await sql`select serial_number, model from ade_devices order by 1`.execute(kysely)
  expect(devices.rows).toEqual([
    { serial_number: 'C02NEW', model: 'c' },
    { serial_number: 'C02OLD', model: 'b' },
    { serial_number: 'FRESH', model: 'e' },
    { serial_number: 'WHOLE', model: 'f' },
  ])
  const enrollments = await sql`select id, serial_number from enrollments order by 1`.execute(kysely)
  expect(enrollments.rows).toEqual([
    { id: 'one', serial_number: 'C02OLD' },
    { id: 'three', serial_number: null },
    { id: 'two', serial_number: null },
  ])
  const attempts = await sql`select id, serial_number, outcome from enrollment_attempts order by 1`.execute(
    kysely,
  )
  expect(attempts.rows).toEqual([
    { id: 'high', serial_number: 'WHOLE', outcome: 'in_progress' },
    { id: 'low', serial_number: 'FRESH', outcome: 'expired' },
  ])
})

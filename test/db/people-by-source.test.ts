import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { migrateToLatest } from '../../src/db/index.ts'
import { databaseAfter } from '../support/old-database.ts'

test('users whom one source alone had made are kept for it; whoever made others is not known', async () => {
  const db = await databaseAfter('0014_one_open_attempt')
  await sql`insert into sign_in_sources (id, kind, name) values ('a', 'ws_trust', 'A'), ('b', 'oidc', 'B')`.execute(
    db.kysely,
  )
  const people = ['of-a', 'of-b', 'of-both', 'local', 'with-password', 'nobody-knows']
  for (const id of people) {
    const hash = id === 'with-password' ? 'hash' : null
    await sql`insert into users (id, user_name, user_name_key, password_hash, created_at, updated_at)
      values (${id}, ${id}, ${id}, ${hash}, now(), now())`.execute(db.kysely)
  }
  for (const [id, source] of [
    ['pa', 'a'],
    ['pb', 'b'],
    ['pl', null],
  ]) {
    await sql`insert into enrollment_policies (id, name, user_affinity, sign_in_source_id, ade, created_at, updated_at)
      values (${id}, ${id}, 'prompt', ${source}, '{}', now(), now())`.execute(db.kysely)
  }
  const attempts = [
    ...[
      ['of-a', 'pa'],
      ['of-a', 'pa'],
      ['of-b', 'pb'],
      ['of-both', 'pa'],
      ['of-both', 'pb'],
    ],
    ...[
      ['local', 'pl'],
      ['with-password', 'pa'],
      ['nobody-knows', null],
    ],
  ]
  for (const [index, [user, policy]] of attempts.entries()) {
    await sql`insert into enrollment_attempts (id, way, user_id, policy_id, outcome, deadline, created_at, updated_at)
      values (${`t${index}`}, 'ade', ${user}, ${policy}, 'enrolled', now(), now(), now())`.execute(db.kysely)
  }
  await migrateToLatest(db)
  const { rows } = await sql<{ id: string; source: string | null; subject: string | null }>`
    select id, sign_in_source_id as source, sign_in_subject as subject from users order by id`.execute(
    db.kysely,
  )
  expect(rows).toEqual([
    { id: 'local', source: null, subject: null },
    { id: 'nobody-knows', source: null, subject: null },
    { id: 'of-a', source: 'a', subject: null },
    { id: 'of-b', source: 'b', subject: null },
    { id: 'of-both', source: null, subject: null },
    { id: 'with-password', source: null, subject: null },
  ])
})

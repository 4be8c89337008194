import { sql } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import { afterCommit, isUniqueViolation, withoutNul } from '../../src/db/index.ts'
import { describeEachEngine } from '../support/database.ts'

describeEachEngine('the database', (database) => {
  beforeAll(async () => {
    await sql`create table notes (id text constraint notes_key primary key, body text, extra jsonb, n int8)`.execute(
      database().kysely,
    )
  })

  const count = async (id: string) =>
    (
      await database().prepared<{ n: number }>('count', 'select count(*) as n from notes where id = $1', [id])
    )[0]?.n

  test('gives the same kinds of values', async () => {
    const { rows } = await sql`
      select 9007199254740991::int8 as int8, 7::int4 as int4, count(*) as count, 1.50::numeric as numeric,
        '2026-11-05T10:20:30.123Z'::timestamptz as timestamptz, '2026-11-05'::date as date,
        '\\x00ff'::bytea as bytea, '{"a": [1, null]}'::jsonb as jsonb, array[1, null]::int8[] as int8s,
        array['a', null]::text[] as texts, true as bool, 1.5::float8 as float8, null as nothing`.execute(
      database().kysely,
    )
    expect(rows).toEqual([
      {
        int8: Number.MAX_SAFE_INTEGER,
        int4: 7,
        count: 1,
        numeric: '1.50',
        timestamptz: new Date('2026-11-05T10:20:30.123Z'),
        date: '2026-11-05',
        bytea: Buffer.from([0, 255]),
        jsonb: { a: [1, null] },
        int8s: [1, null],
        texts: ['a', null],
        bool: true,
        float8: 1.5,
        nothing: null,
      },
    ])
  })

  test('speaks UTC', async () => {
    const { rows } = await sql`select to_char('2026-11-05T23:30:00Z'::timestamptz, 'DD HH24') as at`.execute(
      database().kysely,
    )
    expect(rows).toEqual([{ at: '05 23' }])
  })

  test('refuses an int8 that a number cannot hold', async () => {
    const query = sql`select 9007199254740993::int8 as n`.execute(database().kysely)
    await expect(query).rejects.toThrow('The number 9007199254740993 is too large.')
  })

  test('takes dates, buffers, arrays and objects as parameters', async () => {
    const at = new Date('2026-01-02T03:04:05.678Z')
    const rows = await database().prepared(
      'parameters',
      'select $1::timestamptz as at, $2::bytea as bytes, $3::text[] as texts, $4::jsonb as object, $5::int8 as n',
      [at, Buffer.from([0, 1, 255]), ['a', 'b,"c'], { x: [1] }, 12],
    )
    expect(rows).toEqual([
      { at, bytes: Buffer.from([0, 1, 255]), texts: ['a', 'b,"c'], object: { x: [1] }, n: 12 },
    ])
  })

  test('carries values of many megabytes', async () => {
    const bytes = Buffer.alloc(12 << 20, 'firstboot')
    const rows = await database().prepared<{ bytes: Buffer }>('large', 'select $1::bytea as bytes', [bytes])
    expect(rows[0]?.bytes.equals(bytes)).toBe(true)
  })

  test('takes text and jsonb that withoutNul has been over', async () => {
    const { body, extra } = withoutNul({ body: 'a\0b', extra: { k: '\0\uD800' } })
    await sql`insert into notes (id, body, extra) values ('nul', ${body}, ${extra})`.execute(
      database().kysely,
    )
    const { rows } = await sql`select body, extra from notes where id = 'nul'`.execute(database().kysely)
    expect(rows).toEqual([{ body: 'a\uFFFDb', extra: { k: '\uFFFD\uFFFD' } }])
  })

  test('prepares a named statement once per connection', async () => {
    for (const value of [1, 2, 3]) {
      const rows = await database().prepared('named-once', 'select $1::int4 as value', [value])
      expect(rows).toEqual([{ value }])
    }
    const statements = `select count(*) as n from pg_prepared_statements where name = 'named-once'`
    expect(await database().prepared('count-named', statements, [])).toEqual([{ n: 1 }])
  })

  test('finds rows by an index in prepared statements, even when they were planned for an empty table', async () => {
    const plan = await database().prepared<{ 'QUERY PLAN': string }>(
      'plan',
      `explain select * from push_needs k join unnest($1::text[]) as i (id) on k.enrollment_id = i.id`,
      [['a']],
    )
    const text = plan.map((row) => row['QUERY PLAN']).join('\n')
    expect(text).toMatch(/Index (Only )?Scan using \w+ on push_needs/)
  })

  test('plans no statement that reads a whole table where an index would do, prepared or not', async () => {
    const names = ['enable_seqscan', 'enable_bitmapscan', 'enable_hashjoin', 'enable_mergejoin', 'jit']
    const text = `select name, setting from pg_settings where name in ('${names.join("','")}')`
    const prepared = await database().prepared<{ name: string; setting: string }>('settings', text, [])
    const { rows } = await sql.raw<{ name: string; setting: string }>(text).execute(database().kysely)
    const off = names.map((name) => [name, 'off'])
    for (const settings of [prepared, rows])
      expect(Object.fromEntries(settings.map(({ name, setting }) => [name, setting]))).toEqual(
        Object.fromEntries(off),
      )
  })

  test('plans work on sets of many rows with every means, and goes back to indexes after it', async () => {
    const { kysely } = database()
    await sql`create table many (id int primary key, n int)`.execute(kysely)
    await sql`create table more (id int primary key, n int)`.execute(kysely)
    for (const table of ['many', 'more']) {
      await sql`insert into ${sql.table(table)} select i, i from generate_series(1, 100000) i`.execute(kysely)
      await sql`analyze ${sql.table(table)}`.execute(kysely)
    }
    const explain = sql<{ 'QUERY PLAN': string }>`
      explain update many set n = more.n from more where more.n = many.n`
    const plan = async (executor: typeof kysely) =>
      (await explain.execute(executor)).rows.map((row) => row['QUERY PLAN']).join('\n')
    expect(await database().bulk(plan)).toMatch(/Hash Join[^]*Seq Scan/)
    expect(await database().transaction(plan)).not.toMatch(/Hash Join/)
  })

  test('tells a broken unique constraint by its name, and goes on after an error', async () => {
    const insert = () => database().prepared('insert', 'insert into notes (id) values ($1)', ['twice'])
    await insert()
    const error: unknown = await insert().catch((reason: unknown) => reason)
    expect(isUniqueViolation(error)).toBe(true)
    expect(isUniqueViolation(error, 'notes_key')).toBe(true)
    expect(isUniqueViolation(error, 'other_key')).toBe(false)
    expect(isUniqueViolation(new Error('other'))).toBe(false)
    await database().ping()
  })

  test('runs many statements at once', async () => {
    const numbers = Array.from({ length: 200 }, (_, index) => index)
    const rows = await Promise.all(
      numbers.map((n) => database().prepared<{ n: number }>('echo', 'select $1::int4 as n', [n])),
    )
    expect(rows.map(([row]) => row?.n)).toEqual(numbers)
  })

  describe('transactions', () => {
    const insert = (id: string) => sql`insert into notes (id) values (${id})`

    test('are there as a whole or not at all, and effects follow a commit only', async () => {
      const seen: string[] = []
      await database().transaction(async (trx) => {
        await insert('kept').execute(trx)
        afterCommit(trx, () => seen.push('kept'))
        expect(seen).toEqual([])
      })
      const failing = database().transaction(async (trx) => {
        await insert('dropped').execute(trx)
        afterCommit(trx, () => seen.push('dropped'))
        throw new Error('on purpose')
      })
      await expect(failing).rejects.toThrow('on purpose')
      expect(seen).toEqual(['kept'])
      expect([await count('kept'), await count('dropped')]).toEqual([1, 0])
    })

    test('whose statement failed do not pass for committed', async () => {
      const swallowing = database().transaction(async (trx) => {
        await insert('swallowed').execute(trx)
        await insert('swallowed')
          .execute(trx)
          .catch(() => undefined)
      })
      await expect(swallowing).rejects.toThrow('rolled back instead of committed')
      expect(await count('swallowed')).toBe(0)
    })

    test('succeed although an effect throws, and the next effect still runs', async () => {
      const seen: string[] = []
      const result = await database().transaction((trx) => {
        afterCommit(trx, () => {
          throw new Error('effect')
        })
        afterCommit(trx, () => seen.push('second'))
        return Promise.resolve('result')
      })
      expect(result).toBe('result')
      expect(seen).toEqual(['second'])
    })

    test.each(['40001', '40P01'])(
      'are run again after %s, with the effects of the last run only',
      async (code) => {
        let runs = 0
        const seen: number[] = []
        await database().transaction(async (trx) => {
          runs += 1
          const run = runs
          afterCommit(trx, () => seen.push(run))
          if (runs < 3)
            await sql
              .raw(`do $$ begin raise exception 'again' using errcode = '${code}'; end $$`)
              .execute(trx)
        })
        expect([runs, seen]).toEqual([3, [3]])
      },
    )

    test('give up at the fifth run', async () => {
      let runs = 0
      const failing = database().transaction(async (trx) => {
        runs += 1
        await sql`do $$ begin raise exception 'again' using errcode = '40001'; end $$`.execute(trx)
      })
      await expect(failing).rejects.toMatchObject({ code: '40001' })
      expect(runs).toBe(5)
    })

    test('by other means than Db.transaction take no effects', async () => {
      await database()
        .kysely.transaction()
        .execute((trx) => {
          expect(() => {
            afterCommit(trx, () => undefined)
          }).toThrow('Db.transaction()')
          return Promise.resolve()
        })
    })

    test('at the same time wait for each other', async () => {
      await sql`insert into notes (id, n) values ('counter', 0)`.execute(database().kysely)
      await Promise.all(
        Array.from({ length: 20 }, () =>
          database().transaction(async (trx) => {
            const { rows } = await sql<{
              n: number
            }>`select n from notes where id = 'counter' for update`.execute(trx)
            await sql`update notes set n = ${(rows[0]?.n ?? 0) + 1} where id = 'counter'`.execute(trx)
          }),
        ),
      )
      expect((await sql`select n from notes where id = 'counter'`.execute(database().kysely)).rows).toEqual([
        { n: 20 },
      ])
    })
  })
})

import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Db } from '../../../src/db/index.ts'
import { createAudit } from '../../../src/features/operators/index.ts'
import type { Act } from '../../../src/kernel/act.ts'
import { newSecret } from '../../../src/kernel/ids.ts'
import { ACT } from '../../support/act.ts'
import { doorsOf } from '../../support/api-world.ts'
import { describeEachEngine, openAgain } from '../../support/database.ts'
import { manualClock } from '../../support/manual-clock.ts'

const DAY = 86_400_000
const USER = { type: 'user.created', data: { user_id: 'u' } } as const

describeEachEngine('the audit trail', (database, engine) => {
  const clock = manualClock()
  const open: Db[] = []
  beforeEach(async () => {
    await unguarded(sql`delete from audit`)
    for (const table of ['audit_outbox', 'event_outbox'] as const)
      await database().kysely.deleteFrom(table).execute()
  })
  afterEach(async () => void (await Promise.all(open.splice(0).map((db) => db.close()))))

  const trailOf = (db: Db = database()) => {
    const doors = doorsOf(db, clock)
    return { ...doors, audit: createAudit({ ...doors, whose: async () => undefined }) }
  }
  const act = (more: Partial<NonNullable<Act['asked']>> = {}): Act => ({
    ...ACT,
    asked: {
      ...{ entry: newSecret(), address: '192.0.2.1', action: 'POST /users', before: null, isNoted: false },
      ...{ object: { kind: 'users', id: null }, ...more },
    },
  })
  /** Does it to the trail as whoever owns the database may, behind the product's back. */
  async function unguarded(statement: ReturnType<typeof sql>): Promise<void> {
    const { kysely } = database()
    await sql`alter table audit disable trigger user`.execute(kysely)
    await statement.execute(kysely)
    await sql`alter table audit enable trigger user`.execute(kysely)
  }
  async function filled(count: number) {
    const { audit } = trailOf()
    for (let at = 1; at <= count; at += 1)
      await audit.complete(`entry-${at}`, { action: `POST /things/${at}`, outcome: 'done', actor: ACT.by })
    await audit.seal()
    return audit
  }
  const list = async (audit: ReturnType<typeof createAudit>) => (await audit.list({ limit: 100 })).items
  const faults = async (audit: ReturnType<typeof createAudit>, anchor?: { number: number; hash: string }) =>
    (await audit.check(anchor)).faults.map(({ number, detail }) => `${number} ${detail}`)

  test('a change and who asked for it are kept together, or neither is', async () => {
    const { audit, events, db } = trailOf()
    const asked = act({ before: { name: 'Ada' } })
    await db.transaction((trx) => events.emit(trx, { ...USER, act: asked }, { ...USER, act: asked }))
    expect(asked.asked!.isNoted).toBe(true)
    await expect(
      db.transaction(async (trx) => {
        await events.emit(trx, { ...USER, act: act() })
        throw new Error('not after all')
      }),
    ).rejects.toThrow('not after all')
    await db.transaction((trx) => events.emit(trx, USER))
    // Its request is not answered yet.
    expect(await list(audit)).toEqual([])
    await audit.complete(asked.asked!.entry, {
      after: { name: 'Eve' },
      outcome: 'refused',
      reason: 'internal',
    })
    expect(await list(audit)).toEqual([
      {
        ...{ id: '1', at: clock.now().toISOString(), actor: ACT.by, via: 'api', action: 'POST /users' },
        ...{ object: { kind: 'users', id: null }, before: { name: 'Ada' }, after: { name: 'Eve' } },
        ...{ address: '192.0.2.1', request_id: 'request-1', outcome: 'done', reason: 'internal' },
        ...{
          events: ['user.created'],
          previous: '0'.repeat(64),
          hash: expect.stringMatching(/^[0-9a-f]{64}$/),
        },
      },
    ])
  })

  test('what a process did before it died is told a minute later', async () => {
    const { audit, events, db } = trailOf()
    await db.transaction((trx) => events.emit(trx, { ...USER, act: act() }))
    clock.advance(61_000)
    expect(await list(audit)).toMatchObject([{ outcome: 'done', events: ['user.created'], after: null }])
  })

  test('many processes number as one', async () => {
    const others = engine === 'postgres' ? [await openAgain(database()), await openAgain(database())] : []
    open.push(...others)
    const trails = [database(), ...others].map((db) => trailOf(db).audit)
    await Promise.all(
      trails.map(async (audit, of) => {
        for (let at = 0; at < 40; at += 1) {
          await audit.complete(`${of}-${at}`, { action: 'POST /things', outcome: 'done' })
          if (at % 5 === of) await audit.seal()
        }
        await audit.seal()
      }),
    )
    const [audit] = trails
    expect(await audit!.check()).toMatchObject({
      ok: true,
      entries: 40 * trails.length,
      first: 1,
      faults: [],
    })
  })

  test('is filtered, and read in pages', async () => {
    const audit = await filled(5)
    await audit.complete('x', { action: 'DELETE /x', outcome: 'refused', object: { kind: 'x', id: '7' } })
    const found = async (query: object) =>
      (await audit.list({ limit: 10, ...query })).items.map(({ id }) => Number(id))
    expect(await found({})).toEqual([6, 5, 4, 3, 2, 1])
    expect(await found({ actor: 'tests' })).toEqual([5, 4, 3, 2, 1])
    expect(await found({ actor: 'the-admin', action: 'POST /things/3' })).toEqual([3])
    expect(await found({ object: 'x' })).toEqual([6])
    expect(await found({ object: '7', outcome: 'refused' })).toEqual([6])
    expect(
      await found({ outcome: 'done', since: new Date(clock.now().getTime() + 1).toISOString() }),
    ).toEqual([])
    const first = await audit.list({ limit: 4 })
    expect((await audit.list({ limit: 4, cursor: first.next_cursor! })).items.map(({ id }) => id)).toEqual([
      '2',
      '1',
    ])
  })

  test('the database refuses to change it', async () => {
    await filled(2)
    const { kysely } = database()
    for (const statement of [
      sql`update audit set actor_name = 'nobody'`,
      sql`delete from audit`,
      sql`truncate audit`,
    ])
      await expect(statement.execute(kysely)).rejects.toThrow('can only be added to')
  })

  test.each<[string, ReturnType<typeof sql>, string[]]>([
    [
      'a text is changed',
      sql`update audit set content = replace(content, 'things/3', 'things/4') where number = 3`,
      ['3 it was changed: it has another hash'],
    ],
    [
      'a text is changed and its hash made to fit',
      sql`update audit set content = replace(content, '"via":null', '"via":"cli"'),
        hash = encode(sha256(convert_to(replace(content, '"via":null', '"via":"cli"'), 'UTF8')), 'hex') where number = 3`,
      ['4 the entry before it was changed, or another one stood there'],
    ],
    [
      'one is hidden from filters',
      sql`update audit set actor_id = 'x' where number = 2`,
      ['2 what it is found by was changed'],
    ],
    ['some are taken out', sql`delete from audit where number in (2, 3)`, ['4 entries 2 to 3 are missing']],
    ['the beginning is taken out', sql`delete from audit where number < 3`, ['3 entries 1 to 2 are missing']],
  ])('it shows when %s', async (_name, statement, expected) => {
    const audit = await filled(5)
    await unguarded(statement)
    expect(await faults(audit)).toEqual(expected)
  })

  test('an anchor shows that the end was cut off, or all of it written anew', async () => {
    const audit = await filled(5)
    const { head } = await audit.check()
    expect(await faults(audit, head!)).toEqual([])
    await unguarded(sql`delete from audit where number > 3`)
    expect(await faults(audit)).toEqual([])
    expect(await faults(audit, head!)).toEqual([
      '5 the end of the trail was cut off: it was there, and is not',
    ])
    await audit.complete('other', { action: 'POST /others', outcome: 'done' })
    await audit.complete('others', { action: 'POST /others', outcome: 'done' })
    expect(await faults(audit)).toEqual([])
    expect(await faults(audit, head!)).toEqual([
      '5 it is another one than was told: the trail was written anew',
    ])
  })

  test('the head is told, when there is a new one', async () => {
    const audit = await filled(2)
    const told = () =>
      database()
        .kysely.selectFrom('event_outbox')
        .select('data')
        .where('type', '=', 'audit.anchored')
        .execute()
    await audit.anchor()
    await audit.anchor()
    const { head } = await audit.check()
    expect(await told()).toEqual([{ data: head }])
    await audit.count('192.0.2.9', { secret: 'guess' })
    await audit.close()
    expect(await told()).toHaveLength(2)
    expect((await list(audit))[0]).toMatchObject({
      ...{ id: '3', actor: null, action: 'authenticate', outcome: 'refused', reason: 'unauthenticated' },
      after: { calls: 1, addresses: { '192.0.2.9': 1 } },
    })
  })

  test('retention leaves an entry from which the chain goes on', async () => {
    const audit = await filled(3)
    clock.advance(10 * DAY)
    await audit.complete('new', { action: 'POST /new', outcome: 'done' })
    await audit.seal()
    const hash = (await list(audit)).find(({ id }) => id === '3')?.hash
    await audit.expire(11)
    expect((await audit.check()).entries).toBe(4)
    await audit.expire(5)
    expect(await list(audit)).toMatchObject([
      { id: '5', action: 'retention', via: 'job', after: { through: 3, hash, deleted: 3 } },
      { id: '4', previous: hash },
    ])
    expect(await audit.check({ number: 2, hash: 'a'.repeat(64) })).toMatchObject({ ok: true, first: 4 })
    await audit.expire(5)
    expect((await audit.check()).entries).toBe(2)
    clock.advance(20 * DAY)
    await audit.expire(5)
    expect(await list(audit)).toMatchObject([{ id: '6', after: { through: 5, deleted: 2 } }])
    expect(await faults(audit)).toEqual([])
  })

  test('strangers are counted, however many they are', async () => {
    const { audit, db } = trailOf()
    for (let at = 0; at < 500; at += 1) await audit.count(`192.0.2.${at % 100}`, { secret: `guess-${at}` })
    expect(await db.kysely.selectFrom('audit_outbox').selectAll().execute()).toEqual([])
    await audit.tellCounts()
    await audit.tellCounts()
    const [entry, ...more] = await list(audit)
    expect(more).toEqual([])
    const { calls, addresses } = entry!.after as { calls: number; addresses: Record<string, number> }
    expect([calls, Object.keys(addresses).length]).toEqual([500, 20])
  })
})

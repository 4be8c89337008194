import { sql } from 'kysely'
import { pino } from 'pino'
import { beforeEach, expect, test } from 'vitest'
import { createAnswers } from '../../../src/features/commands/answers.ts'
import { describeEachEngine } from '../../support/database.ts'
import { manualClock } from '../../support/manual-clock.ts'

describeEachEngine('answers for which the server waits', (database) => {
  const clock = manualClock()
  const answers = () => createAnswers({ db: database(), clock, log: pino({ level: 'silent' }) })
  const write = async (topic: string, ...uuids: string[]) => {
    for (const uuid of uuids)
      await sql`
        insert into command_answers (topic, enrollment_id, command_uuid, state, at)
        values (${topic}, 'D', ${uuid}, 'acknowledged', ${clock.now()})`.execute(database().kysely)
  }
  const left = async () => {
    const { rows } = await sql<{ command_uuid: string }>`
      select command_uuid from command_answers order by seq`.execute(database().kysely)
    return rows.map(({ command_uuid: uuid }) => uuid)
  }

  beforeEach(async () => void (await sql`delete from command_answers`.execute(database().kysely)))

  test('come to who follows their topic, in their order and once', async () => {
    const seen: string[] = []
    const followed = answers()
    followed.follow('delivery', async (_, taken) => void seen.push(...taken.map((one) => one.command_uuid)))
    await write('delivery', 'one', 'two')
    await write('act', 'other')
    await followed.run()
    await followed.run()
    expect(seen).toEqual(['one', 'two'])
    expect(await left()).toEqual(['other'])
  })

  test('one that cannot be taken in holds up no other, changes nothing, and is tried again', async () => {
    const seen: string[] = []
    let isBroken = true
    const followed = answers()
    followed.follow('delivery', async (trx, taken) => {
      for (const { command_uuid: uuid } of taken) {
        await sql`delete from command_answers where command_uuid = 'witness'`.execute(trx)
        if (uuid === 'bad' && isBroken) throw new Error('not now')
        seen.push(uuid)
      }
    })
    await write('act', 'witness')
    await write('delivery', 'bad')
    await followed.run()
    expect(await left()).toEqual(['witness', 'bad'])
    await write('delivery', 'good')
    await followed.run()
    expect(seen).toEqual(['good'])
    isBroken = false
    clock.advance(4_000)
    await followed.run()
    expect(seen).toEqual(['good', 'bad'])
    expect(await left()).toEqual([])
  })
})

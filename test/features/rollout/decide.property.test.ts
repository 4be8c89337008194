import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Model } from './model.ts'

const RUNS = Number(process.env['FIRSTBOOT_TEST_HISTORIES'] ?? 300)
const GROUPS = ['g0', 'g1', 'g2']
const THINGS = ['t0', 't1', 't2', 't3']
/** t2 and t3 take each other's place on a device. */
const identifierOf = (id: string) => (id === 't3' ? 'net.t2' : `net.${id}`)
const DAY = 86_400
/** Days on which a device lists its profiles, when it listens again; later it is looked at when its time has come. */
const DAYS_WITH_LIST = 2

type Step =
  | { do: 'contents'; group: number; things: { thing: number; exclude: boolean; precedence: number }[] }
  | { do: 'join' | 'leave'; group: number }
  | { do: 'revise'; thing: number }
  | { do: 'contact'; answers: ('acknowledged' | 'error' | 'notNow' | 'lost' | 'cut')[] }
  | { do: 'removedByPerson'; thing: number }
  | { do: 'list' | 'visit' | 'hold' | 'release' | 'lose' | 'find' }
  | { do: 'time'; seconds: number }

const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('contents' as const),
    group: fc.nat(2),
    things: fc.uniqueArray(
      fc.record({
        thing: fc.nat(3),
        exclude: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
        precedence: fc.nat(1),
      }),
      { maxLength: 4, selector: ({ thing }) => thing },
    ),
  }),
  fc.record({ do: fc.constantFrom('join' as const, 'leave' as const), group: fc.nat(2) }),
  fc.record({ do: fc.constant('revise' as const), thing: fc.nat(3) }),
  fc.record({
    do: fc.constant('contact' as const),
    answers: fc.array(fc.constantFrom('acknowledged', 'acknowledged', 'error', 'notNow', 'lost', 'cut'), {
      maxLength: 6,
    }),
  }),
  fc.record({ do: fc.constant('removedByPerson' as const), thing: fc.nat(3) }),
  fc.record({
    do: fc.constantFrom('list', 'visit', 'hold', 'release', 'lose', 'find') as fc.Arbitrary<'list'>,
  }),
  fc.record({ do: fc.constant('time' as const), seconds: fc.integer({ min: 1, max: DAY }) }),
)

let added = 0
async function play(model: Model, step: Step): Promise<void> {
  model.pass(1)
  switch (step.do) {
    case 'contents': {
      const groupId = GROUPS[step.group]!
      const before = model.items.filter((item) => item.groupId === groupId)
      const items = step.things.map(({ thing, exclude, precedence }, place) => {
        const id = THINGS[thing]!
        const addedSeq = before.find((item) => item.id === id)?.addedSeq ?? ++added
        return {
          groupId,
          groupAge: step.group,
          place,
          kind: 'profile' as const,
          id,
          critical: thing === 0,
          precedence,
          exclude,
          addedSeq,
        }
      })
      model.items = [...model.items.filter((item) => item.groupId !== groupId), ...items]
      break
    }
    case 'join':
      model.members.add(GROUPS[step.group]!)
      break
    case 'leave':
      model.members.delete(GROUPS[step.group]!)
      break
    case 'revise':
      model.things.get(THINGS[step.thing]!)!.revision += 1
      break
    case 'contact':
      return contact(model, step.answers)
    case 'removedByPerson':
      model.onDevice.delete(identifierOf(THINGS[step.thing]!))
      return
    case 'list':
      model.list()
      break
    case 'hold':
    case 'release':
      model.isHeld = step.do === 'hold'
      break
    case 'lose':
    case 'find':
      model.isLost = step.do === 'lose'
      break
    case 'time':
      model.pass(step.seconds)
      await model.visitWhenDue()
      return
    case 'visit':
      break
  }
  await model.visit()
}

async function contact(model: Model, answers: readonly string[]): Promise<void> {
  for (const answer of answers) {
    const next = model.sendNext()
    if (next === undefined) return
    model.pass(1)
    if (answer === 'cut') return
    if (answer === 'notNow') {
      next.isOut = false
      return
    }
    if (answer !== 'error') model.perform(next)
    if (answer === 'lost') return
    model.answer(next, answer === 'error' ? 'error' : 'acknowledged')
    await model.visit()
  }
}

/** From now on the device does what it is told, and time passes. */
async function settle(model: Model): Promise<number> {
  model.isHeld = false
  model.isLost = false
  await model.visit()
  for (let round = 0, idle = 0; round < 40; round++) {
    idle = model.queue.length === 0 ? idle + 1 : 0
    for (
      let next = model.sendNext(), most = 200;
      next !== undefined && most > 0;
      next = model.sendNext(), most--
    ) {
      model.pass(1)
      model.perform(next)
      model.answer(next, 'acknowledged')
      await model.visit()
    }
    model.pass(DAY)
    let queued = await model.visitWhenDue()
    if (round < DAYS_WITH_LIST) {
      model.list()
      queued += await model.visit('listed')
    }
    // A day after the last failure it is tried again, so one quiet day is not enough.
    if (idle > 1 && queued === 0) return round
  }
  return Infinity
}

function fresh(): Model {
  const model = new Model()
  for (const id of THINGS) model.things.set(id, { id, identifier: identifierOf(id), revision: 1 })
  return model
}

test('whatever happened, a device that listens again ends with exactly what it is to have', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { maxLength: 40, size: 'max' }), async (history) => {
      const model = fresh()
      for (const step of history) await play(model, step)
      expect(await settle(model)).toBeLessThan(40)
      const wanted = model.wanted().map(({ identifier, id, revision }) => [identifier, `${id}-${revision}`])
      expect([...model.onDevice].toSorted()).toEqual(wanted.toSorted())
      expect(model.rows.map(({ state }) => state).filter((state) => state !== 'installed')).toEqual([])
      expect(model.rows).toHaveLength(wanted.length)
    }),
    { numRuns: RUNS },
  )
})

test('what is there is not sent again, and a visit without news changes nothing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { maxLength: 20, size: 'max' }), async (history) => {
      const model = fresh()
      for (const step of history) await play(model, step)
      await settle(model)
      const before = { rows: structuredClone(model.rows), installs: model.installs.length }
      model.pass(DAY)
      model.list()
      await model.visit()
      await model.visit()
      expect(model.queue).toEqual([])
      expect(model.rows).toEqual(before.rows)
      expect(model.installs).toHaveLength(before.installs)
    }),
    { numRuns: RUNS },
  )
})

// Of things that take each other's place only the last is known, so one that comes back is sent once more.
test('as long as every answer is heard, nothing is installed that is there, each thing of an identifier of its own', async () => {
  const heard = steps.map((step): Step => {
    if (step.do === 'contents') return { ...step, things: step.things.filter(({ thing }) => thing !== 3) }
    if (step.do !== 'contact') return step
    return { ...step, answers: step.answers.map((one) => (one === 'acknowledged' ? one : 'notNow')) }
  })
  await fc.assert(
    fc.asyncProperty(fc.array(heard, { maxLength: 40, size: 'max' }), async (history) => {
      const model = fresh()
      for (const step of history) await play(model, step)
      await settle(model)
      expect(model.doubles).toEqual([])
    }),
    { numRuns: RUNS },
  )
})

test('what leaves and comes back before anything went out for that is not sent again', async () => {
  const model = fresh()
  const base = { groupId: 'g0', groupAge: 0, place: 0, critical: false, precedence: 0, exclude: false }
  model.items = [{ ...base, kind: 'profile', id: 't0', addedSeq: 1 }]
  model.members.add('g0')
  await settle(model)
  model.members.delete('g0')
  await model.visit()
  expect(model.queue.map(({ command }) => command.requestType)).toEqual(['RemoveProfile'])
  model.members.add('g0')
  await model.visit()
  expect(model.queue).toEqual([])
  expect(model.rows).toMatchObject([{ state: 'installed', is_wanted: true }])
  model.members.delete('g0')
  await model.visit()
  // As long as the device has said NotNow each time it is there, which is not sure any more once one was not answered.
  await contact(model, ['notNow'])
  await contact(model, ['notNow'])
  model.members.add('g0')
  await model.visit()
  expect(model.queue).toEqual([])
  model.members.delete('g0')
  await model.visit()
  await contact(model, ['lost'])
  await contact(model, ['notNow'])
  model.members.add('g0')
  await model.visit()
  expect(model.queue.map(({ command }) => command.requestType)).toEqual(['InstallProfile'])
})

/** A device that has t0. */
async function withOne(): Promise<Model> {
  const model = fresh()
  const base = { groupId: 'g0', groupAge: 0, place: 0, critical: false, precedence: 0, exclude: false }
  model.items = [{ ...base, kind: 'profile', id: 't0', addedSeq: 1 }]
  model.members.add('g0')
  await settle(model)
  model.told = []
  return model
}

test('what waits to be replaced is told as neither installed nor failed again', async () => {
  const model = await withOne()
  model.isLost = true
  model.things.get('t0')!.revision = 2
  for (let visit = 0; visit < 3; visit++) {
    model.pass(60)
    model.list()
    await model.visit('listed')
  }
  expect([model.told, model.rows[0]?.reason]).toEqual([[], 'lost_mode'])
  model.isLost = false
  await settle(model)
  expect(model.told).toEqual(['delivery.installed t0-2'])
})

test('a halted revision does not go to who has said NotNow to it, and stays where it may be done', async () => {
  for (const [answer, installs] of [
    ['notNow', []],
    ['lost', ['t0-2']],
  ] as const) {
    const model = await withOne()
    model.installs = []
    model.things.get('t0')!.revision = 2
    await model.visit()
    await contact(model, [answer])
    model.things.get('t0')!.fallback = { revision: 1 }
    await model.visit()
    expect(model.queue).toHaveLength(installs.length)
    expect(model.installs).toEqual(installs)
    expect(model.rows).toMatchObject([{ revision: installs.length === 0 ? 1 : 2 }])
  }
})

test('while a device is held, critical things go out one after the other, and nothing else', async () => {
  const model = fresh()
  const item = (id: string, place: number, critical: boolean) => ({
    ...{
      groupId: 'g0',
      groupAge: 0,
      place,
      kind: 'profile' as const,
      id,
      critical,
      precedence: 0,
      exclude: false,
    },
    addedSeq: place,
  })
  model.items = [item('t0', 0, false), item('t1', 1, true), item('t2', 2, true)]
  model.members.add('g0')
  model.isHeld = true
  await model.visit()
  expect(model.queue).toHaveLength(1)
  await contact(model, ['notNow'])
  await model.visit()
  expect(model.queue).toHaveLength(1)
  await contact(model, ['acknowledged'])
  expect(model.queue.filter(({ command }) => command.requestType === 'InstallProfile')).toHaveLength(1)
  await contact(model, ['acknowledged', 'acknowledged', 'acknowledged'])
  expect([...model.onDevice.keys()].toSorted()).toEqual(['net.t1', 'net.t2'])
  model.isHeld = false
  await model.visit()
  await contact(model, ['acknowledged', 'acknowledged'])
  expect([...model.onDevice.keys()].toSorted()).toEqual(['net.t0', 'net.t1', 'net.t2'])
})

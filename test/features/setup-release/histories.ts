import fc from 'fast-check'
import { expect } from 'vitest'
import { addTime } from '../../../src/kernel/clock.ts'
import { contact, type Mood, type Phone, type StoredHold, type Thing, type World } from './phone.ts'

/** So many contacts after its deadline a phone needs at most. */
const MOST_CONTACTS = 3
const MANY: readonly Mood[] = Array.from({ length: 8 }, () => 'answers' as const)

/** A server, a phone, and how the hold stood before the last thing that happened. */
export interface Play {
  world: World
  phone: Phone
  before: StoredHold | undefined
  /** The clock went forward alone, so that deadlines are what they were. */
  isClockTrue: boolean
}

/** Something that happens. */
class Happening implements fc.AsyncCommand<object, Play> {
  private readonly name: string
  private readonly happen: (play: Play) => Promise<void> | void
  constructor(name: string, run: (play: Play) => Promise<void> | void) {
    this.name = name
    this.happen = run
  }
  check = () => true
  async run(_: object, play: Play): Promise<void> {
    play.before = await play.world.hold()
    await this.happen(play)
    await checkAll(play)
  }
  toString = () => this.name
}

/** What must hold after everything that happens. */
async function checkAll({ world, before, isClockTrue }: Play): Promise<void> {
  const hold = await world.hold()
  expect(await world.countConfigured()).toBeLessThanOrEqual(1)
  if (hold === undefined) return
  const { circumstances } = world
  const now = world.now()
  const isSame = before?.generation === hold.generation
  if (isSame) expect(hold.created_at).toEqual(before.created_at)
  if (isSame && before.deadline !== null && hold.deadline !== null)
    expect(hold.deadline.getTime()).toBeLessThanOrEqual(before.deadline.getTime())
  if (hold.deadline !== null && isClockTrue && !(isSame && before.deadline !== null))
    expect(hold.deadline).toEqual(addTime(hold.created_at, circumstances.minutes, 'minute'))
  const isLetGo = hold.reason !== null && (before?.reason === null || !isSame)
  if (!isLetGo) return
  expect(hold.tries).toBeGreaterThan(0)
  if (hold.reason === 'deadline') expect(hold.deadline?.getTime()).toBeLessThanOrEqual(now.getTime())
  else expect(circumstances.isComputed).toBe(true)
  if (hold.reason === 'commands_done') expect(circumstances.things).not.toContain('open')
  const failed = circumstances.isHolding ? circumstances.things.filter((thing) => thing !== 'done').length : 0
  expect(hold.missing).toHaveLength(failed)
  const isLate = hold.deadline !== null && hold.deadline <= now
  if (failed > 0 && !isLate) expect(hold.is_retried).toBe(true)
}

const moods = fc.array(
  fc.constantFrom<Mood>('answers', 'answers', 'answers', 'not_now', 'deaf', 'vanishes', 'refuses'),
  { minLength: 1, maxLength: 4 },
)
const always = (name: string, run: (play: Play) => Promise<void> | void) =>
  fc.constant(new Happening(name, run))
const setThing = (at: number, to: Thing) => (play: Play) => {
  const { things } = play.world.circumstances
  if (things.length > 0) things[at % things.length] = to
}

async function says(play: Play, awaiting: boolean | undefined): Promise<void> {
  if (await play.world.isGone()) return
  if (awaiting !== undefined) play.phone.isWaiting = awaiting
  await play.world.tokenUpdate(awaiting)
}

/** Whatever may happen to a phone and its server. */
export const happenings = [
  always('it says that it waits', (play) => says(play, true)),
  always('it says that it waits, at once followed', async (play) => {
    await says(play, true)
    await play.world.follow()
    await play.world.goOnWithWoken()
  }),
  always('it says its tokens', (play) => says(play, undefined)),
  always('it says that it does not wait', (play) => says(play, false)),
  always('it starts anew', (play) => says(play, play.phone.isWaiting ? true : undefined)),
  moods.map(
    (each) => new Happening(`a contact: ${each.join(', ')}`, (play) => contact(play.world, play.phone, each)),
  ),
  moods.map(
    (each) =>
      new Happening(`a contact, at once followed: ${each.join(', ')}`, async (play) => {
        await contact(play.world, play.phone, each)
        await play.world.goOnWithWoken()
      }),
  ),
  always('facts are followed', ({ world }) => world.follow()),
  always('what is woken goes on', ({ world }) => world.goOnWithWoken()),
  always('the job runs', ({ world }) => world.job()),
  always('the process is killed', ({ world }) => world.kill()),
  fc.integer({ min: 1, max: 12 }).map(
    (at) =>
      new Happening(`the process dies at its work (${at})`, async ({ world }) => {
        world.circumstances.diesAt = at
        await world.job()
        world.circumstances.diesAt = 0
        world.kill()
      }),
  ),
  fc
    .oneof(fc.integer({ min: 1, max: 90 }), fc.integer({ min: 90, max: 4_000 }))
    .map((seconds) => new Happening(`${seconds} seconds pass`, ({ world }) => world.move(seconds))),
  fc.oneof(fc.integer({ min: 1, max: 120 }), fc.constant(86_400)).map(
    (seconds) =>
      new Happening(`the clock is set back by ${seconds} seconds`, (play) => {
        play.isClockTrue = false
        play.world.move(-seconds)
      }),
  ),
  always('its contents are known', ({ world }) => void (world.circumstances.isComputed = true)),
  fc.nat({ max: 3 }).map((at) => new Happening(`thing ${at} is there`, setThing(at, 'done'))),
  fc.nat({ max: 3 }).map((at) => new Happening(`thing ${at} fails`, setThing(at, 'failed'))),
  fc.constantFrom(true, false).map(
    (isHolding) =>
      new Happening(`its policy holds it: ${isHolding}`, ({ world }) => {
        world.circumstances.isHolding = isHolding
      }),
  ),
  always('an operator cancels', ({ world }) => world.cancel()),
  fc.array(fc.constantFrom<Thing>('open', 'done', 'failed'), { maxLength: 3 }).map(
    (things) =>
      new Happening(`it enrolls anew with ${things.join(', ')}`, async (play) => {
        play.phone.isWaiting = false
        await play.world.enrolAnew()
        Object.assign(play.world.circumstances, { isComputed: false, things: [...things] })
      }),
  ),
  always('it leaves', async (play) => {
    play.phone.isWaiting = false
    await play.world.unenrol()
  }),
  always('it is erased', async (play) => {
    play.phone.isWaiting = false
    await play.world.erase()
  }),
]

/** Plays a history to its end: the deadline passes, and the phone comes some more times. */
export async function playOut(play: Play, history: Iterable<fc.AsyncCommand<object, Play>>): Promise<void> {
  await fc.asyncModelRun(() => ({ model: {}, real: play }), history)
  const { world, phone } = play
  // The server runs; a clock that was set back is noticed by that.
  await world.job()
  world.move(world.circumstances.minutes * 60 + 60)
  await world.job()
  for (let contacts = 0; contacts < MOST_CONTACTS && (await isOwed(world)); contacts++) {
    world.move(61)
    await world.follow()
    await world.job()
    await contact(world, phone, MANY)
    await world.goOnWithWoken()
  }
  expect(await isOwed(world)).toBe(false)
  expect(phone.isWaiting).toBe(false)
}

async function isOwed(world: World): Promise<boolean> {
  const hold = await world.hold()
  return hold !== undefined && hold.released_at === null && !(await world.isGone())
}

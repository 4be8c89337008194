import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Device } from '../../../src/simulator/index.ts'
import { startTestApp, type TestApp } from '../../support/app.ts'
import { describeEachEngine } from '../../support/database.ts'
import { deliveryWorld } from '../../support/delivery-world.ts'

/** Histories on each database; FIRSTBOOT_TEST_HISTORIES: more. */
const RUNS = Number(process.env['FIRSTBOOT_TEST_HISTORIES'] ?? 6)
const MINUTE = 60_000
const DEVICES = 3
const GROUPS = 3
const THINGS = 4
/** Rounds of twenty minutes, after which every failure was tried again. */
const MOST_ROUNDS = 60
const TIMEOUT_MS = 60_000 + RUNS * 60_000

const device = fc.nat(DEVICES - 1)
const thing = fc.nat(THINGS - 1)
const steps = fc.oneof(
  fc.record({
    do: fc.constant('contents' as const),
    group: fc.nat(GROUPS - 1),
    items: fc.uniqueArray(
      fc.record({
        thing,
        precedence: fc.nat(1),
        exclude: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
      }),
      { maxLength: THINGS, selector: (item) => item.thing },
    ),
  }),
  fc.record({ do: fc.constantFrom('join' as const, 'leave' as const), group: fc.nat(GROUPS - 2), device }),
  fc.record({ do: fc.constant('rename' as const), device, isAlpha: fc.boolean() }),
  fc.record({ do: fc.constant('revise' as const), thing }),
  fc.record({ do: fc.constant('start' as const), thing, percent: fc.constantFrom(0, 40, 100) }),
  fc.record({ do: fc.constantFrom('advance', 'halt', 'resume', 'roll-back'), thing }),
  fc.record({
    do: fc.constant('trouble' as const),
    device,
    of: fc.constantFrom('Error' as const, 'NotNow' as const, 'before' as const, 'after' as const),
    type: fc.constantFrom('InstallProfile', 'RemoveProfile', 'ProfileList'),
  }),
  fc.record({ do: fc.constantFrom('enroll' as const, 'come' as const, 'come' as const), device }),
  fc.record({ do: fc.constant('removed' as const), device, thing }),
  fc.record({ do: fc.constant('time' as const), minutes: fc.integer({ min: 1, max: 200 }) }),
)
type Step = typeof steps extends fc.Arbitrary<infer Value> ? Value : never

describeEachEngine('predicted equals delivered', (database) => {
  let world: TestApp
  let at: ReturnType<typeof deliveryWorld>
  const devices: Device[] = []
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
    at = deliveryWorld(world, 'predicted')
    while (devices.length < DEVICES) devices.push(await at.member())
  }, TIMEOUT_MS)
  afterAll(() => world.close())

  /** Groups and things of a history of their own. */
  async function scene() {
    const isAlpha = { fact: 'device_name', op: 'starts_with', value: 'Alpha' }
    const made = await world.api('POST', '/groups', {
      ...{ name: `by rule ${crypto.randomUUID()}`, kind: 'dynamic', rule: isAlpha },
    })
    const groups = [await at.group(), await at.group(), made.body.id as string]
    const things: { id: string; identifier: string }[] = []
    const identifier = `net.predicted.${crypto.randomUUID()}`
    // The last two take each other's place.
    for (let index = 0; index < THINGS; index++)
      things.push(await at.profile({ ssid: 'r1', ...(index > 1 && { identifier }) }))
    await at.put(groups[0]!, ...things.map((one) => at.bring(one)))
    await at.join(groups[0]!, ...devices)
    return { groups, things, rollouts: new Map<string, string>() }
  }
  type Scene = Awaited<ReturnType<typeof scene>>

  async function play({ groups, things, rollouts }: Scene, step: Step): Promise<void> {
    switch (step.do) {
      case 'contents':
        return at.put(
          groups[step.group]!,
          ...step.items.map(({ thing: index, ...more }) => at.bring(things[index]!, more)),
        )
      case 'join':
        return at.join(groups[step.group]!, devices[step.device]!)
      case 'leave':
        await world.api('DELETE', `/groups/${groups[step.group]}/members/${devices[step.device]!.facts.udid}`)
        return
      case 'rename': {
        const renamed = devices[step.device]!
        renamed.person.rename(`${step.isAlpha ? 'Alpha' : 'Beta'} ${renamed.facts.serialNumber}`)
        await world.api('POST', `/devices/${renamed.facts.udid}/refresh`)
        return
      }
      case 'revise':
        return revise(things[step.thing]!)
      case 'start': {
        const { id } = things[step.thing]!
        await revise(things[step.thing]!, '?rollout=true')
        const first = step.percent === 0 ? { group_id: groups[0] } : { percent: step.percent }
        const { body } = await world.api('POST', '/rollouts', {
          ...{ kind: 'profile', id, rings: [first, { group_id: groups[1] }], advance_after_minutes: 90 },
        })
        if (body.id !== undefined) rollouts.set(id, body.id)
        return
      }
      case 'advance':
      case 'halt':
      case 'resume':
      case 'roll-back':
        return void (await world.api('POST', `/rollouts/${rollouts.get(things[step.thing]!.id)}/${step.do}`))
      case 'trouble':
        if (step.of === 'before' || step.of === 'after') devices[step.device]!.lose(step.of, step.type)
        else devices[step.device]!.script(step.type, step.of)
        return
      case 'enroll':
        expect(await devices[step.device]!.enroll({ url: await world.link() })).toEqual({ enrolled: true })
        return
      case 'come':
        return at.pass([devices[step.device]!], 1_000, 2)
      case 'removed':
        return void devices[step.device]!.person.removeProfile(things[step.thing]!.identifier)
      case 'time':
        return world.pass(step.minutes * MINUTE)
    }
  }

  /** Its next revision, which says of itself which one it is; refused while a rollout of it is open. */
  async function revise(of: { id: string; identifier: string }, query = ''): Promise<void> {
    const { body } = await world.api('GET', `/profiles/${of.id}`)
    await at.replace(of, `r${Number(body.revision) + 1}`, query)
  }

  async function differences(one: Device, halted: ReadonlySet<string>): Promise<string[]> {
    const { items } = (await world.api('POST', '/predictions', { device_id: one.facts.udid })).body
    const nameOf = (item: { id: string; identifier: string | null; revision: number | null }) =>
      `${item.identifier} ${item.id} r${item.revision}`
    const predicted: string[] = items.map(nameOf).toSorted()
    const told = await at.deliveries(one)
    // What has failed is not tried again while its rollout is halted.
    const open = told.filter(
      ({ id, state }) => state !== 'installed' && !(state === 'failed' && halted.has(id)),
    )
    const failed = new Set(told.filter(({ state }) => state === 'failed').map(({ identifier }) => identifier))
    const there = one
      .view()
      .profiles.filter(({ managed, identifier }) => managed && !failed.has(identifier))
      .map(
        ({ identifier, content }) =>
          `${identifier} ${/"SSID_STR":"(r\d+)"/.exec(JSON.stringify(content))?.[1]}`,
      )
    const wanted = items
      .filter(({ identifier }: { identifier: string }) => !failed.has(identifier))
      .map((item: { identifier: string; revision: number }) => `${item.identifier} r${item.revision}`)
    return [
      ...open.map((row) => `${nameOf(row)} is ${row.state} ${row.reason}`),
      ...differ('delivered', predicted, told.map(nameOf).toSorted()),
      ...differ('there', wanted.toSorted(), there.toSorted()),
    ]
  }
  const differ = (what: string, one: readonly string[], other: readonly string[]) =>
    JSON.stringify(one) === JSON.stringify(other) ? [] : [`predicted ${one.join()}; ${what} ${other.join()}`]

  test(
    'whatever happened',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(steps, { minLength: 5, maxLength: 15, size: 'max' }), async (history) => {
          const of = await scene()
          for (const step of history) {
            await play(of, step)
            await world.pass(100)
          }
          for (let round = 0; ; round++) {
            if (round % 5 === 0)
              for (const { facts } of devices) await world.api('POST', `/devices/${facts.udid}/refresh`)
            await at.pass(devices, 20 * MINUTE, 1)
            await at.pass(devices, 1_000, 2)
            const halted = new Set<string>()
            for (const [id, rollout] of of.rollouts)
              if ((await world.api('GET', `/rollouts/${rollout}`)).body.state === 'halted') halted.add(id)
            const found = (await Promise.all(devices.map((one) => differences(one, halted)))).flat()
            if (found.length === 0) break
            expect(round, found.join('\n')).toBeLessThan(MOST_ROUNDS)
          }
          for (const id of of.groups) await at.put(id)
        }),
        { numRuns: RUNS, endOnFailure: true },
      )
      expect(devices.flatMap((one) => one.violations())).toEqual([])
    },
    TIMEOUT_MS,
  )
})

import { setTimeout as pause } from 'node:timers/promises'
import { person } from '../world/people.ts'
import type { Act, Actor, Outcome, Stage, World } from '../world/stage.ts'
import type { Style } from './style.ts'
import { describeMistake, describeTry, introduceAct, outcomesOf, type Try } from './telling.ts'
import { createWitness } from './witness.ts'

/** An act that was played. */
export interface Played {
  act: Act
  outcomes: readonly Outcome[]
  tries: readonly Try[]
  /** What its groups had brought to it when it was shown. */
  delivered: readonly string[]
  isAsExpected: boolean
}

/** A delivery, as the API tells it. */
interface Delivery {
  kind: string
  name: string
  state: string
  reason: string | null
}

interface DirectorDeps {
  acts: readonly Act[]
  actors: readonly Actor[]
  world: World
  write: (text: string) => void
  style: Style
  signal: AbortSignal
}

/** Plays the acts one after the other, and tells what happens as it happens. */
export async function playAll(deps: DirectorDeps): Promise<Played[]> {
  const witness = createWitness(deps.world.server, deps.world.api)
  const played: Played[] = []
  for (const act of deps.acts) {
    if (deps.signal.aborted) break
    played.push(await play(deps, act, witness))
  }
  return played
}

async function play(
  deps: DirectorDeps,
  act: Act,
  witness: ReturnType<typeof createWitness>,
): Promise<Played> {
  const { write, style } = deps
  const actor = actorOf(deps, act.phone)
  const tries: Try[] = []
  const delivered: string[] = []
  write(introduceAct(act, actor, style))
  const attempt: Stage['attempt'] = async (doing, run) => {
    const { screen, isEnrolled } = await run()
    const made = { doing, screen, isEnrolled, findings: await witness() }
    tries.push(made)
    write(describeTry(made, style))
  }
  const stage = stageFor(deps, attempt, delivered)
  if (act.play === undefined)
    await stage.powerOn(actor, 'powered on', act.who === undefined ? undefined : person(act.who))
  else await act.play(stage, actor)
  await actor.phone.idle()
  const outcomes = outcomesOf(tries)
  const isAsExpected = outcomes.join() === act.expected.join()
  if (!isAsExpected) write(describeMistake(act.expected, outcomes, style))
  return { act, outcomes, tries, delivered, isAsExpected }
}

function stageFor(deps: DirectorDeps, attempt: Stage['attempt'], delivered: string[]): Stage {
  const { world, write, style } = deps
  const tell = (text: string) => write(`    ${style.soft(text)}\n`)
  return {
    ...world,
    attempt,
    tell,
    async showDeliveries({ phone }) {
      const { items } = await world.api.call('GET', `/devices/${phone.facts.udid}/deliveries`)
      for (const { kind, name, state, reason } of items as Delivery[]) {
        tell(`Its group brings ${kind} ${name}: ${state}${reason === null ? '' : ` (${reason})`}.`)
        if (state === 'installed') delivered.push(`${kind} ${name}`)
      }
    },
    actor: (number) => actorOf(deps, number),
    powerOn: ({ phone }, doing, who) =>
      attempt(doing, async () => {
        const { screen, outcome, updatedTo, awaitedConfiguration } = await phone.powerOn(who)
        const notes = [
          ...(updatedTo === undefined ? [] : [`updated itself to ${updatedTo}`]),
          ...(awaitedConfiguration ? ['released by DeviceConfigured'] : []),
        ]
        const shown = notes.length === 0 ? screen : `${screen} (${notes.join(', ')})`
        return { screen: shown, isEnrolled: outcome === 'enrolled' }
      }),
    enrollOnPage: ({ phone }, doing, who) =>
      attempt(doing, async () => {
        const { screen, outcome } = await phone.enrollOnPage(`${world.server.url}/enroll`, who)
        return { screen, isEnrolled: outcome === 'enrolled' }
      }),
  }
}

function actorOf({ actors }: Pick<DirectorDeps, 'actors'>, number: number): Actor {
  const actor = actors.find((each) => each.number === number)
  if (actor === undefined) throw new Error(`there is no phone ${number}`)
  return actor
}

/** Waits until no phone has anything to say any more; what is pushed meanwhile counts too. */
export async function settle(actors: readonly Actor[], quietMs: number): Promise<void> {
  await pause(quietMs)
  for (const { phone } of actors) await phone.idle()
}

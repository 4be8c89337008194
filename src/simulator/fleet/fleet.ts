import { systemClock, type Clock } from '../../kernel/clock.ts'
import type { Channel } from '../device/channel.ts'
import type { EnrollmentSource } from '../device/enrollment.ts'
import type { PushSource } from '../device/push-delivery.ts'
import type { SessionReport } from '../device/session.ts'
import { createActivity } from './activity.ts'
import { createFleetCounter, type FleetCounter } from './counter.ts'
import { createLimiter } from './limiter.ts'
import { createMembers, type Member, type MembersOptions } from './members.ts'

/** How a fleet behaves. Times in milliseconds, probabilities from 0 to 1. */
export interface FleetOptions extends MembersOptions {
  /** Where device number `index` (from 0) gets its profile; asked anew for each try. */
  source: (index: number) => EnrollmentSource | Promise<EnrollmentSource>
  apns?: PushSource
  /** Devices that are doing something at the same time (default 16). */
  concurrency?: number
  /** Pause before a device tries again after the server was away (default 2,000). */
  retryMs?: number
  /** How long after a last NotNow a device polls by itself (default 10,000). */
  selfPollMs?: number
  /** How long a restart takes (default 5,000). */
  restartMs?: number
  /** How likely a push finds its device asleep, so that it comes up to `sleepMs` (default 10,000) later. */
  asleep?: number
  sleepMs?: number
  /** How likely a device changes its push token after a session. */
  tokenChange?: number
  /** A removed or erased device enrols again after this time; not at all by default. */
  reEnrollMs?: number
}

/** Many devices. */
export type Fleet = ReturnType<typeof createFleet>

/** Tries after which a device that finds no server gives up enrolling. */
const MAX_TRIES = 100

/** Makes a fleet; nothing happens before `enroll`. */
export function createFleet(options: FleetOptions) {
  const { clock = systemClock, asleep = 0, tokenChange = 0 } = options
  const { retryMs = 2_000, selfPollMs = 10_000, restartMs = 5_000, sleepMs = 10_000 } = options
  const limit = createLimiter(options.concurrency ?? 16)
  const counter = createFleetCounter()
  const { members, byToken } = createMembers(options, counter.violations)
  const { note, plan, quiet } = createActivity(clock, () =>
    members.some(({ running }) => running !== undefined),
  )
  let stopped = false

  function wake(member: Member, channel: Channel): void {
    member.wanted.add(channel)
    if (member.asleep || stopped) return
    member.running ??= limit(() => work(member)).finally(() => {
      member.running = undefined
      const [next] = member.wanted
      if (next !== undefined) wake(member, next)
    })
  }

  async function work(member: Member): Promise<void> {
    const { device, wanted } = member
    for (const channel of wanted) {
      wanted.delete(channel)
      if (stopped || device.status() !== 'enrolled') return
      note()
      try {
        follow(member, channel, await pollCounted(member, channel, counter, clock))
        if (member.asleep) return
        if (device.status() === 'enrolled' && member.random.chance(tokenChange)) await device.updateToken()
      } catch (error) {
        counter.stats.faults.push(String((error as Error).stack))
      }
    }
  }

  /** What a device does of its own accord after a session. */
  function follow(member: Member, channel: Channel, { end, pollsAgain }: SessionReport): void {
    if (end === 'later') plan(member.random, retryMs, () => wake(member, channel))
    else if (end === 'restarting' || end === 'shut_down') sleep(member, restartMs)
    else if (pollsAgain) plan(member.random, selfPollMs, () => wake(member, channel))
    const { reEnrollMs } = options
    const gone = member.device.status() === 'removed' || member.device.status() === 'erased'
    if (gone && reEnrollMs !== undefined) plan(member.random, reEnrollMs, () => void enrollOne(member))
  }

  function sleep(member: Member, ms: number): void {
    member.asleep = true
    plan(member.random, ms, () => {
      member.asleep = false
      wake(member, member.device.channels()[0])
    })
  }

  async function enrollOne(member: Member): Promise<void> {
    for (let tries = 1; tries <= MAX_TRIES && !stopped; tries++) {
      note()
      try {
        const outcome = await limit(async () => member.device.enroll(await options.source(member.index)))
        counter.enrollment(outcome)
        if (outcome.enrolled || !outcome.lost) return
      } catch (error) {
        counter.stats.faults.push(String((error as Error).stack))
        return
      }
      await new Promise<void>((resolve) => plan(member.random, retryMs, resolve))
    }
  }

  options.apns?.onPush((token, magic) => {
    counter.stats.pushes++
    note()
    const member = byToken.get(token)
    const topic = options.apns?.pushes?.at(-1)?.topic
    if (member === undefined) return counter.strayPush(clock.now())
    const channel = member.device.receivePush({ token, magic, topic })
    if (channel === undefined) return
    member.pushedAt ??= clock.now().getTime()
    if (member.random.chance(asleep)) plan(member.random, sleepMs / 2, () => wake(member, channel))
    else wake(member, channel)
  })

  return {
    devices: members.map(({ device }) => device),
    counter,
    /** Enrols every device; resolves when each is enrolled or refused for good. */
    enroll: async () => void (await Promise.all(members.map(enrollOne))),
    /** Makes all devices poll, as if they had been pushed. */
    pollAll: () => members.forEach((member) => wake(member, member.device.channels()[0])),
    quiet,
    /** No device does anything any more; what runs is finished. */
    async stop() {
      stopped = true
      await Promise.all(members.map(async ({ running }) => running))
    },
  }
}

/** One session; counted, and timed if a push caused it. */
async function pollCounted(
  member: Member,
  channel: Channel,
  counter: FleetCounter,
  clock: Clock,
): Promise<SessionReport> {
  const report = await member.device.poll(channel)
  counter.session(report)
  if (report.end === 'idle' && member.pushedAt !== undefined) {
    counter.stats.pushToAnswer.push(clock.now().getTime() - member.pushedAt)
  }
  if (report.end !== 'later') member.pushedAt = undefined
  return report
}

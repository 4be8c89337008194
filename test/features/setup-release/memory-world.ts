import { decide, type Decision, type Input } from '../../../src/features/setup-release/machine.ts'
import type { AnswerState } from '../../../src/features/commands/index.ts'
import { criticalState, retryCritical } from './critical.ts'
import type { Circumstances, Sent, StoredHold, World } from './phone.ts'

/** How often a command goes out in vain. */
const MOST_SENDS = 3

interface Delivery extends Sent {
  state: AnswerState
  isPutOff: boolean
  sends: number
}

/** The rows of a server, and what its statements do with them, without a database. */
export function memoryWorld(circumstances: Circumstances): World {
  let now = new Date('2026-01-01T00:00:00Z')
  let generation = 1
  let tally = 0
  let isUnenrolled = false
  let isErased = false
  let count = 0
  let firstUuid: string | undefined
  let isToAskFirst = false
  let commandUuids: string[] | null = null
  let hold: StoredHold | undefined
  let isWoken = false
  const deliveries = new Map<string, Delivery>()

  const pending = () => [...deliveries.values()].filter(({ state }) => state === 'pending')
  const isGone = () => isUnenrolled || isErased

  function queue(requestType: string): string {
    const uuid = `${requestType} ${++count}`
    deliveries.set(uuid, { uuid, requestType, state: 'pending', isPutOff: false, sends: 0 })
    return uuid
  }

  function cancelAll(): void {
    for (const delivery of pending()) delivery.state = 'none'
  }

  function look(held: StoredHold): Input {
    if (isGone() || generation !== held.generation) return { is: 'gone' }
    if (held.reason !== null) {
      const answer = held.configured_uuid === null ? undefined : deliveries.get(held.configured_uuid)?.state
      return { is: 'told', answer: answer ?? 'none' }
    }
    return {
      is: 'held',
      isHolding: circumstances.isHolding,
      minutes: circumstances.minutes,
      areFirstCommandsDone:
        commandUuids?.every((uuid) => (deliveries.get(uuid)?.state ?? 'pending') !== 'pending') ?? false,
      critical: criticalState(circumstances),
    }
  }

  function goOn(): void {
    if (hold === undefined || hold.released_at !== null) return
    // A process that dies before the end of its transaction has done nothing.
    if (circumstances.diesAt % 2 === 1) return
    let decision = decide(hold, look(hold), now)
    if (decision.do === 'retry') {
      retryCritical(circumstances)
      decision = decide(decision.hold, look(hold), now)
    }
    carryOut(hold.generation, decision)
  }

  function carryOut(ofGeneration: number, decision: Decision): void {
    if (decision.do === 'forget') hold = undefined
    else hold = { ...decision.hold, generation: ofGeneration }
    if (decision.do === 'tell' && hold !== undefined) hold.configured_uuid = queue('DeviceConfigured')
  }

  function isDue({ next_at, reason, configured_uuid }: StoredHold): boolean {
    const longest = reason === null || configured_uuid === null ? 60 : 3_600
    const isEnded = configured_uuid !== null && deliveries.get(configured_uuid)?.state !== 'pending'
    return next_at <= now || next_at.getTime() > now.getTime() + longest * 1_000 || isEnded
  }

  function openHold(): void {
    const same = hold?.generation === generation ? hold : undefined
    const isAsked =
      same !== undefined &&
      same.configured_uuid !== null &&
      deliveries.get(same.configured_uuid)?.state === 'pending'
    if (same === undefined) commandUuids = tally > 1 ? [] : null
    hold = {
      ...{ generation, created_at: same?.created_at ?? now, deadline: same?.deadline ?? null },
      ...{ is_retried: same?.is_retried ?? false, next_at: now, looks: 0, released_at: null },
      configured_uuid: isAsked ? same.configured_uuid : null,
      reason: isAsked ? same.reason : null,
      missing: isAsked ? same.missing : [],
      tries: isAsked ? same.tries : 0,
    }
    isWoken = true
  }

  return {
    circumstances,
    now: () => now,
    move: (seconds) => void (now = new Date(now.getTime() + seconds * 1_000)),
    generation: async () => generation,
    isGone: async () => isGone(),
    hold: async () => hold && { ...hold },
    countConfigured: async () =>
      pending().filter(({ requestType }) => requestType === 'DeviceConfigured').length,
    async tokenUpdate(awaiting) {
      tally += 1
      if (tally === 1) isToAskFirst = true
      if (awaiting === true) openHold()
    },
    async enrolAnew() {
      cancelAll()
      generation += 1
      tally = 0
      isUnenrolled = false
      isErased = false
      isToAskFirst = false
      firstUuid = undefined
    },
    async unenrol() {
      cancelAll()
      isUnenrolled = true
    },
    erase: async () => void (isErased = true),
    async poll({ status, uuid }) {
      if (isUnenrolled) return undefined
      const answered = uuid === undefined ? undefined : deliveries.get(uuid)
      if (answered?.state === 'pending') {
        if (status === 'NotNow') Object.assign(answered, { isPutOff: true, sends: 0 })
        else answered.state = status === 'Acknowledged' ? 'acknowledged' : 'error'
        isWoken ||= answered.state !== 'pending'
      }
      if (status === 'Idle') for (const delivery of pending()) delivery.isPutOff = false
      const byPriority = () =>
        pending().toSorted(
          (a, b) => Number(a.requestType !== b.requestType && b.requestType === 'DeviceConfigured') * 2 - 1,
        )
      if (status === 'Idle') {
        const [first] = byPriority()
        if (first !== undefined && first.sends >= MOST_SENDS) {
          first.state = 'none'
          isWoken = true
        }
      }
      const next = byPriority().find(
        ({ isPutOff, sends, uuid: id }) => !isPutOff && sends < MOST_SENDS && id !== uuid,
      )
      if (next !== undefined) next.sends += 1
      return next && { ...next }
    },
    async cancel() {
      for (const delivery of pending())
        if (delivery.requestType === 'DeviceConfigured' && (delivery.sends === 0 || delivery.isPutOff))
          delivery.state = 'none'
    },
    async follow() {
      if (isToAskFirst && !isGone()) {
        isToAskFirst = false
        firstUuid = queue('DeviceInformation')
        if (hold?.generation === generation && commandUuids === null) commandUuids = [firstUuid]
      }
      goOn()
    },
    async goOnWithWoken() {
      if (isWoken) goOn()
      isWoken = false
    },
    async job() {
      if (hold !== undefined && hold.released_at === null && isDue(hold)) goOn()
    },
    kill: () => void (isWoken = false),
  }
}

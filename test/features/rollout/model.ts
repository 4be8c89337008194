import type { NewCommand } from '../../../src/features/commands/index.ts'
import type { Tx } from '../../../src/db/index.ts'
import { decide } from '../../../src/features/rollout/deliveries/decide.ts'
import type { ThingItem } from '../../../src/features/rollout/contents/items.ts'
import { desire } from '../../../src/features/rollout/deliveries/desire.ts'
import { send } from '../../../src/features/rollout/deliveries/send.ts'
import type { Row } from '../../../src/features/rollout/deliveries/store.ts'
import type { Device, End, Goods } from '../../../src/features/rollout/deliveries/types.ts'
import type { Thing } from '../../../src/features/rollout/rings/rings.ts'
import { buildCommand, parseCommand } from '../../../src/protocol/mdm/index.ts'

/** A profile of the model. */
export interface ModelThing {
  id: string
  identifier: string
  revision: number
  /** Its rollout is halted: who does not have the revision gets this one. */
  fallback?: { revision: number }
}

interface Queued {
  command: NewCommand
  /** What it carries, made when it went out. */
  carries?: { identifier: string; uuid: string } | undefined
  sentAt: Date | null
  /** It is out, and nothing was heard of it since. */
  isOut: boolean
  /** It went out again before anything was heard of it. */
  isUnheard: boolean
}

/**
 * The engine over one device without a database: the queue, the device and its lists are modelled; what is decided, and what is sent,
 * is the product's.
 */
export class Model {
  now = new Date('2026-01-01T00:00:00Z')
  items: ThingItem[] = []
  things = new Map<string, ModelThing>()
  members = new Set<string>()
  rows: Row[] = []
  queue: Queued[] = []
  ends = new Map<string, End>()
  /** On the device: UUIDs by identifier. */
  onDevice = new Map<string, string>()
  listed: Device['listed'] = { profiles: null, managed: null, installed: null }
  isHeld = false
  isLost = false
  /** Installs that the device has done, by UUID of the profile. */
  installs: string[] = []
  /** Those of them that were there already. */
  doubles: string[] = []
  /** When it is looked at again by itself. */
  dueAt: Date | null = null
  sent: string[] = []
  /** What was told of deliveries, each with its revision. */
  told: string[] = []

  device(): Device {
    return {
      id: 'D',
      generation: 1,
      type: 'device',
      platform: 'ios',
      osVersion: '26.0',
      isHeld: this.isHeld,
      isLost: this.isLost,
      userChannelId: null,
      users: new Map(),
      values: new Map(),
      listed: this.listed,
    }
  }

  goods(id: string): Goods {
    const identifier = this.things.get(id)?.identifier ?? `gone.${id}`
    return {
      identifier,
      isForUser: false,
      isThereWhenAcknowledged: true,
      needsApps: [],
      removedAt: null,
      rendering: () => '',
      install: () => ({ requestType: 'InstallProfile' }),
      remove: () => ({ requestType: 'RemoveProfile' }),
      report: ({ listed: { profiles } }, version, since) => {
        if (profiles === null || profiles.at <= since) return { state: 'untold' }
        const uuids = profiles.uuids.get(identifier)
        if (uuids === undefined) return { state: 'absent' }
        return { state: uuids.includes(`${id}-${version.revision}`) ? 'there' : 'other' }
      },
    }
  }

  wanted() {
    const things = new Map<string, Thing>(
      [...this.things.values()].map((thing) => [
        `profile ${thing.id}`,
        {
          kind: 'profile',
          id: thing.id,
          name: thing.id,
          identifier: thing.identifier,
          revisionFor: () => ({
            revision: thing.revision,
            ring: null,
            ...(thing.fallback && { fallback: thing.fallback }),
          }),
        },
      ]),
    )
    return desire(this.items, { members: this.members, unknown: new Set() }, things, 'D')
  }

  /** A visit, as the product makes it. */
  async visit(cause = 'test'): Promise<number> {
    const device = this.device()
    const endOf = (row: Row): End => {
      const queued = this.queue.find(({ command }) => command.uuid === row.command_uuid)
      if (queued !== undefined)
        return { state: 'live', sentAt: queued.sentAt, mayBeDone: queued.isOut || queued.isUnheard }
      return this.ends.get(row.command_uuid ?? '') ?? { state: 'lost', at: this.now }
    }
    const findGoods = (_: string, id: string) => this.goods(id)
    const decision = decide({
      device,
      rows: this.rows,
      wanted: this.wanted(),
      endOf,
      findGoods,
      stopped: new Set(),
      cause: { cause, changeId: null },
      now: this.now,
    })
    this.dueAt = decision.dueAt
    for (const { type, row, revision = row.sent_revision } of decision.told)
      this.told.push(`${type} ${row.thing_id}-${revision}`)
    if (this.dueAt !== null && this.dueAt <= this.now) throw new Error('It would be visited for ever.')
    this.queue = this.queue.filter(
      ({ command }) => !decision.cancels.some(({ uuid }) => uuid === command.uuid),
    )
    const before = this.queue.length
    const commands = {
      enqueueOnce: async (_: Tx, wanted: readonly NewCommand[]) => {
        for (const command of wanted)
          this.queue.push({ command, sentAt: null, isOut: false, isUnheard: false })
      },
    }
    const inventory = {
      ask: async (_: Tx, _act: unknown, ids: readonly string[], requestTypes: readonly string[]) => {
        for (const requestType of requestTypes) this.ask(requestType, ids)
      },
    }
    await send({} as Tx, { commands, inventory }, findGoods, [{ device, decision, among: 0 }])
    const gone = new Set(decision.deletes.map((row) => row.thing_id))
    const saved = new Map(decision.saves.map((row) => [row.thing_id, row]))
    this.rows = [
      ...this.rows.filter((row) => !gone.has(row.thing_id) && !saved.has(row.thing_id)),
      ...decision.saves.filter((row) => !gone.has(row.thing_id) || row.is_wanted),
    ]
    return this.queue.length - before
  }

  /** A visit when its time has come; how many commands it queued. */
  async visitWhenDue(): Promise<number> {
    return this.dueAt !== null && this.dueAt <= this.now ? this.visit('due') : 0
  }

  private ask(requestType: string, targets: readonly string[]): void {
    if (this.queue.some(({ command }) => command.requestType === requestType)) return
    const uuid = `ask ${this.sent.length} ${this.now.getTime()}`
    const command = { uuid, requestType, body: buildCommand(uuid, requestType, {}), targets }
    this.queue.push({ command, sentAt: null, isOut: false, isUnheard: false })
  }

  /** The command that goes out next, which is what it carries from that moment on. */
  sendNext(): Queued | undefined {
    const next = this.queue[0]
    if (next === undefined) return undefined
    next.sentAt = this.now
    next.isUnheard ||= next.isOut
    next.isOut = true
    this.sent.push(next.command.requestType)
    const row = this.rows.find((one) => one.command_uuid === next.command.uuid)
    if (next.command.requestType === 'InstallProfile')
      next.carries =
        row?.sent_revision == null
          ? undefined
          : { identifier: row.identifier ?? '', uuid: `${row.thing_id}-${row.sent_revision}` }
    return next
  }

  /** The device does what it was sent. */
  perform(queued: Queued): void {
    const { requestType, body } = queued.command
    if (queued.carries) {
      const { identifier, uuid } = queued.carries
      if (this.onDevice.get(identifier) === uuid) this.doubles.push(uuid)
      this.onDevice.set(identifier, uuid)
      this.installs.push(uuid)
    }
    if (requestType === 'RemoveProfile')
      this.onDevice.delete(parseCommand(body).command['Identifier'] as string)
  }

  /** It answers; the queue forgets the command. */
  answer(queued: Queued, state: 'acknowledged' | 'error'): void {
    this.queue = this.queue.filter((one) => one !== queued)
    const { uuid, requestType } = queued.command
    if (requestType === 'ProfileList') {
      if (state === 'acknowledged') this.list()
      return
    }
    const chain = [{ ErrorCode: 4001, ErrorDomain: 'MCInstallationErrorDomain' }]
    const end = { at: this.now, requestType }
    this.ends.set(uuid, state === 'error' ? { ...end, state, chain } : { ...end, state })
  }

  /** The device lists its profiles. */
  list(): void {
    const uuids = new Map([...this.onDevice].map(([identifier, uuid]) => [identifier, [uuid.toLowerCase()]]))
    this.listed = { ...this.listed, profiles: { at: this.now, uuids } }
  }

  pass(seconds: number): void {
    this.now = new Date(this.now.getTime() + seconds * 1_000)
  }
}

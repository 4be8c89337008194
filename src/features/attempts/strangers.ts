import type { Db } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import { networkOf } from '../../kernel/network.ts'
import type { Events, NewEvent, RefusalDetail, RefusedRequest } from '../events/index.ts'
import type { ReasonCode } from './reasons.ts'
import type { Way } from './types.ts'

/** Told again no sooner than after this time. */
const HOUR_MS = 60 * 60 * 1000
/** Networks and reasons that are told apart, each some kB at most; what more there is counts as one network. */
const MAX_TOLD_APART = 1_000
/** Names, serial numbers, links and so on that an event lists. */
const MAX_LISTED = 20
const OTHERS = 'other networks'

/** What people may try again. */
const SIGN_IN_REASONS: ReadonlySet<ReasonCode> = new Set<ReasonCode>([
  'invalid_credentials',
  'password_expired',
  'password_change_required',
  'mfa_required',
  'user_disabled',
  'user_unknown',
  'directory_unavailable',
  'sign_in_required',
])

type RefusalType = 'enrollment.rejected' | 'enrollment.sign_in_refused' | 'certificate.refused'

/** Somebody who was refused before anything was proved. */
type Stranger = Refused & (Entrant | Requester)

/** Who wanted to enroll; `detail` goes to the log. */
interface Entrant {
  ofCertificate?: false
  detail?: RefusalDetail
}

/** Who wanted a certificate. */
interface Requester {
  ofCertificate: true
  detail: RefusedRequest
}

interface Refused {
  /** Where the request came from. */
  address: string
  /** Null when that is not known, as of a certificate request with a challenge that nobody was given. */
  way: Way | null
  reason: ReasonCode
  request_id: string
  /** The serial number and the user name that were claimed, if they may be told. */
  serial_number?: string | undefined
  user_name?: string | undefined
  link_id?: string | undefined
  policy_id?: string | undefined
}

interface Tally {
  readonly network: string
  readonly reason: ReasonCode
  readonly type: RefusalType
  /** Of those that were not told yet. */
  count: number
  since: Date
  toldAt: number | undefined
  readonly listed: Record<'ways' | 'serial_numbers' | 'user_names' | 'link_ids' | 'policy_ids', Set<string>>
}

/** What strangers were refused: a line in the log and a count for each, an event for many. */
export type Strangers = ReturnType<typeof createStrangers>

/**
 * The tallies of strangers, who must not fill the database: nothing is written for a request. One event for each network (of an IPv6
 * address its /64), reason and hour says how many there were since the last one and what they named, the first one soon. What
 * this process has not told yet is lost if it is killed.
 */
export function createStrangers(deps: { db: Db; clock: Clock; events: Pick<Events, 'announce' | 'record'> }) {
  const { db, clock, events } = deps
  const tallies = new Map<string, Tally>()

  function tallyOf(network: string, reason: ReasonCode, type: Tally['type']): Tally {
    const key = `${network} ${reason} ${type}`
    const known = tallies.get(key)
    if (known !== undefined) return known
    if (tallies.size >= MAX_TOLD_APART && network !== OTHERS) return tallyOf(OTHERS, reason, type)
    const listed = {
      ways: new Set<string>(),
      serial_numbers: new Set<string>(),
      user_names: new Set<string>(),
      link_ids: new Set<string>(),
      policy_ids: new Set<string>(),
    }
    const fresh: Tally = {
      network,
      reason,
      type,
      count: 0,
      since: clock.now(),
      toldAt: undefined,
      listed,
    }
    tallies.set(key, fresh)
    return fresh
  }

  /** Notes one; what is told of a refusal of a whole network names no device and no person more than the event can list. */
  function note(stranger: Stranger): void {
    const { address, way, reason, request_id, serial_number, user_name, link_id, policy_id } = stranger
    const network = networkOf(address)
    const who = { serial_number: serial_number ?? null, user_name: user_name ?? null }
    const ids = { ...(link_id !== undefined && { link_id }), ...(policy_id !== undefined && { policy_id }) }
    const about = { ...(way !== null && { way }), network, ...ids }
    const fact = stranger.ofCertificate
      ? ({ type: 'certificate.refused', data: { ...about, ...stranger.detail } } as const)
      : { type: typeOf(stranger), data: { ...about, ...stranger.detail } }
    events.announce({ ...fact, ...who, reason, request_id })
    const tally = tallyOf(network, reason, fact.type)
    if (tally.count === 0) tally.since = clock.now()
    tally.count += 1
    const { listed } = tally
    list(listed.ways, way ?? undefined)
    list(listed.serial_numbers, serial_number)
    list(listed.user_names, user_name)
    list(listed.link_ids, link_id)
    list(listed.policy_ids, policy_id)
  }

  async function tell(due: readonly Tally[]): Promise<void> {
    if (due.length === 0) return
    const counts = due.map(({ count }) => count)
    const made = due.map((tally) => eventOf(tally))
    await db.transaction((trx) => events.record(trx, ...made))
    const now = clock.now().getTime()
    due.forEach((tally, n) => {
      // Some may have come while this was written.
      tally.count -= counts[n] ?? 0
      tally.toldAt = now
      Object.values(tally.listed).forEach((values) => values.clear())
    })
  }

  return {
    note,
    /** Job: writes the events that are due, and forgets networks that have been quiet for an hour. */
    async tellDue(): Promise<void> {
      const now = clock.now().getTime()
      const isDue = ({ toldAt }: Tally) => toldAt === undefined || now - toldAt >= HOUR_MS
      await tell([...tallies.values()].filter((tally) => tally.count > 0 && isDue(tally)))
      for (const [key, tally] of tallies) if (tally.count === 0 && isDue(tally)) tallies.delete(key)
    },
    /** Writes what was not told yet, before the process ends. */
    flush: (): Promise<void> => tell([...tallies.values()].filter(({ count }) => count > 0)),
  }
}

function typeOf({ way, reason }: Refused): 'enrollment.sign_in_refused' | 'enrollment.rejected' {
  return way === 'page' && SIGN_IN_REASONS.has(reason) ? 'enrollment.sign_in_refused' : 'enrollment.rejected'
}

function list(values: Set<string>, value: string | undefined): void {
  if (value !== undefined && values.size < MAX_LISTED) values.add(value)
}

/** An event has the one serial number and person that all were about, if they were, and lists the others. */
function eventOf({ network, reason, type, count, since, listed }: Tally): NewEvent {
  const only = (values: Set<string>) => (values.size === 1 ? ([...values][0] ?? null) : null)
  const lists: Partial<Record<keyof Tally['listed'], string[]>> = Object.fromEntries(
    Object.entries(listed).flatMap(([name, values]) => (values.size > 0 ? [[name, [...values]]] : [])),
  )
  return {
    type,
    reason,
    serial_number: only(listed.serial_numbers),
    user_name: only(listed.user_names),
    data: { network, count, since: since.toISOString(), ...lists },
  }
}

import { addTime } from '../../../kernel/clock.ts'
import { AppError } from '../../../kernel/errors.ts'
import { ATTEMPT_MINUTES } from '../../attempts/index.ts'
import type {
  AttemptFacts,
  Contact,
  NewStep,
  OpenAttempt,
  ReasonCode,
  RecentContact,
} from '../../attempts/index.ts'
import { checkDevice, type Checked, type StepRefusal } from './checks.ts'
import type { EntryDeps } from './deps.ts'
import { createMachineReader, type Machine } from './machine.ts'
import { createKnown, createRecorder, type EntryPolicy, type Recorded } from './record.ts'

/** Addresses that exist, one a policy and ADE server, about 0.1 kB each. */
const REMEMBERED_ADDRESSES = 1_000

/** A device at the door: who it says it is, the policy of the address, and what was decided so far. */
export interface Visit {
  way: 'ade' | 'ade_web'
  machine: Machine
  policy: EntryPolicy
  topic: string | null
  /** The attempt that the device had in progress when it came. */
  open: OpenAttempt | undefined
  /** The attempt in which it said the same within the last hour. */
  recent: RecentContact | undefined
  /** Whether it said the same before it enrolled, and is enrolled. */
  isReplayed: boolean
  checked: Checked
  /** Whether the serial number is one of ours. */
  isOurs: boolean
  requestId: string
}

/** What is written of a visit besides what was checked. `ends` false: the attempt stays open for another try. */
export interface Decision {
  steps?: NewStep[]
  facts?: AttemptFacts
  /** Somebody has typed a user name and a password. */
  isAnswer?: boolean
  refusal?: StepRefusal & { ends: boolean; user_name?: string }
}

/** What a device says of itself: the body of its POST, or the header of its web view. */
type Source = { body: unknown } | { header: string }

/** Who asks: for the log, and to count strangers by their network. */
interface Caller {
  address: string
  requestId: string
}

/** Where devices come in at power-on, natively and in the web view. */
export type Entrance = ReturnType<typeof createEntrance>

/** The entrance: receives devices, and writes down what was decided of them. */
export function createEntrance(deps: EntryDeps) {
  const { settings, strangers } = deps
  const machines = createMachineReader(deps)
  const known = createKnown(deps)
  const record = createRecorder(deps, (question) => known({ key: '', ...question }))

  const addresses = new Set<string>()

  /** Whether there is such an address, before anything is done for it; the look-up of the device finds it out anew. */
  async function isAddress(key: string): Promise<boolean> {
    if (addresses.has(key)) return true
    if ((await known({ key, serial: '' })).policy === undefined) return false
    addresses.add(key)
    const [oldest = ''] = addresses
    if (addresses.size > REMEMBERED_ADDRESSES) addresses.delete(oldest)
    return true
  }

  async function read(source: Source): Promise<Machine | AppError> {
    try {
      return await ('header' in source ? machines.fromHeader(source.header) : machines.fromBody(source.body))
    } catch (error) {
      if (error instanceof AppError && error.code === 'message_invalid') return error
      throw error
    }
  }

  function turnAway(
    { address, requestId }: Caller,
    way: Visit['way'],
    refused: { reason: ReasonCode; problem: string; serial?: string },
  ): 'refused' {
    const { reason, problem, serial } = refused
    strangers.note({
      address,
      way,
      reason,
      serial_number: serial,
      request_id: requestId,
      detail: { problem },
    })
    return 'refused'
  }

  return {
    /**
     * Looks at a device that has come: `unknown_key` for an address that is not ours, `refused` for a message that cannot be
     * understood or that nobody vouches for (both begin no attempt), else what is decided before anyone signs in.
     */
    async receive(key: string, source: Source, caller: Caller): Promise<Visit | 'unknown_key' | 'refused'> {
      const way = 'header' in source ? 'ade_web' : 'ade'
      if (!(await isAddress(key))) return 'unknown_key'
      const machine = await read(source)
      if (machine instanceof AppError)
        return turnAway(caller, way, { reason: 'machine_info_invalid', problem: machine.message })
      const { serial, distrust } = machine
      if (distrust !== undefined)
        return turnAway(caller, way, { reason: 'machine_info_untrusted', problem: distrust, serial })
      const facts = await known({ key, serial, machineInfoHash: machine.hash })
      const { policy, assignment, open, recent, isReplayed, topic } = facts
      if (policy === undefined) return 'unknown_key'
      const mayRepeat = !isReplayed || (await settings.get()).machine_info_replay === 'tell'
      return {
        way,
        machine,
        policy,
        topic,
        open,
        recent,
        isReplayed,
        requestId: caller.requestId,
        checked: checkDevice(machine, { ...facts, policy, mayRepeat }),
        isOurs: assignment !== undefined,
      }
    },

    /** Writes down a visit and what was decided; with `isGranted`, a challenge for the profile is made. */
    record(visit: Visit, decision: Decision, isGranted = false): Promise<Recorded> {
      const { machine, checked, open, recent, isOurs } = visit
      const contact = contactOf(visit, decision, { isGranted, now: deps.clock.now() })
      const isProven = machine.isProven && isOurs && checked.refusal === undefined
      return record({
        contact,
        open,
        recent,
        isOurs,
        provenUdid: isProven ? machine.udid : undefined,
        isGranted,
      })
    },
  }
}

function contactOf(
  { way, machine, policy, checked, isReplayed, requestId }: Visit,
  decision: Decision,
  { isGranted, now }: { isGranted: boolean; now: Date },
): Contact {
  const refusal = checked.refusal === undefined ? decision.refusal : { ...checked.refusal, ends: true }
  const granted: NewStep[] = isGranted ? [{ step: 'profile', outcome: 'passed' }] : []
  return {
    attempt: {
      way,
      serial_number: machine.serial,
      udid: machine.udid,
      policy_id: policy.id,
      deadline: addTime(now, ATTEMPT_MINUTES, 'minute'),
    },
    machineInfoHash: machine.hash,
    isAnswer: decision.isAnswer ?? false,
    isReplayed,
    ...(decision.facts && { facts: decision.facts }),
    checks: checked.steps,
    steps: [...(decision.steps ?? []), ...granted],
    ...(refusal && { refusal }),
    request_id: requestId,
  }
}

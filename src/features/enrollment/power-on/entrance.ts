import { addTime } from '../../../kernel/clock.ts'
import { AppError } from '../../../kernel/errors.ts'
import type { AttemptFacts, Contact, NewStep, OpenAttempt } from '../../attempts/index.ts'
import { ATTEMPT_MINUTES } from '../attempt-deadline.ts'
import { checkDevice, type Checked, type StepRefusal } from './checks.ts'
import type { EntryDeps } from './deps.ts'
import { createKnown, type EntryPolicy } from './known.ts'
import { createMachineReader, type Machine } from './machine.ts'
import { createRecorder, type Recorded } from './record.ts'

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
  checked: Checked
  /** Whether the serial number is one of ours and the device is believed. */
  isOurs: boolean
  requestId: string
}

/** What is written of a visit besides what was checked. `ends` false: the attempt stays open for another try. */
export interface Decision {
  steps?: NewStep[]
  facts?: AttemptFacts
  refusal?: StepRefusal & { ends: boolean }
}

/** What a device says of itself: the body of its POST, or the header of its web view. */
type Source = { body: unknown } | { header: string }

/** Where devices come in at power-on, natively and in the web view. */
export type Entrance = ReturnType<typeof createEntrance>

/** Makes it. */
export function createEntrance(deps: EntryDeps) {
  const machines = createMachineReader(deps)
  const known = createKnown(deps)
  const record = createRecorder(deps, async (serial) => (await known('', serial)).open)

  const addresses = new Set<string>()

  /** Whether there is such an address, before anything is done for it; the look-up of the device finds it out anew. */
  async function isAddress(key: string): Promise<boolean> {
    if (addresses.has(key)) return true
    if ((await known(key, '')).policy === undefined) return false
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

  return {
    /**
     * Looks at a device that has come: `unknown_key` for an address that is not ours, `unreadable` for a message that
     * cannot be understood (both open no attempt), else what is decided before anyone signs in.
     */
    async receive(
      key: string,
      source: Source,
      requestId: string,
    ): Promise<Visit | 'unknown_key' | 'unreadable'> {
      const way = 'header' in source ? 'ade_web' : 'ade'
      if (!(await isAddress(key))) return 'unknown_key'
      const machine = await read(source)
      const facts = await known(key, machine instanceof AppError ? '' : machine.serial)
      const { policy, assignment, open, topic } = facts
      if (policy === undefined) return 'unknown_key'
      if (machine instanceof AppError) {
        const data = { way, problem: machine.message }
        const reason = 'machine_info_invalid'
        deps.events.announce({ type: 'enrollment.rejected', reason, request_id: requestId, data })
        return 'unreadable'
      }
      return {
        ...{ way, machine, policy, topic, open, requestId },
        checked: checkDevice(machine, { ...facts, policy }),
        isOurs: assignment !== undefined && machine.distrust === undefined,
      }
    },

    /** Writes down a visit and what was decided; with `isGranted`, a challenge for the profile is made. */
    record(visit: Visit, decision: Decision, isGranted = false): Promise<Recorded> {
      const { machine, checked } = visit
      const refusal = checked.refusal === undefined ? decision.refusal : { ...checked.refusal, ends: true }
      const granted: NewStep[] = isGranted ? [{ step: 'profile', outcome: 'passed' }] : []
      const contact: Contact = {
        attempt: {
          way: visit.way,
          serial_number: machine.serial,
          udid: machine.udid,
          policy_id: visit.policy.id,
          deadline: addTime(deps.clock.now(), ATTEMPT_MINUTES, 'minute'),
        },
        apart: machine.distrust !== undefined,
        ...(decision.facts && { facts: decision.facts }),
        steps: [...checked.steps, ...(decision.steps ?? []), ...granted],
        ...(refusal && { refusal }),
        request_id: visit.requestId,
      }
      const provenUdid =
        machine.isProven && visit.isOurs && checked.refusal === undefined ? machine.udid : undefined
      return record({ contact, open: visit.open, isOurs: visit.isOurs, provenUdid, isGranted })
    },
  }
}

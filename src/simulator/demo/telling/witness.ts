import type { DemoApi } from '../world/api.ts'
import { DEMO_REASONS, type DemoReason } from '../world/reasons.ts'
import type { DemoServer, LogLine } from '../world/server.ts'

/** What an administrator reads of a refusal. */
export interface Finding {
  reason: DemoReason
  /** The reason in plain words. */
  text: string
  /** What goes along, such as `count 1, limit 1`. */
  detail: string
  attemptId: string | undefined
}

/** A step of a timeline, as the API tells it. */
interface Step {
  reason: string | null
  reason_text: string | null
  detail: Record<string, unknown>
}

/** What the log says of a try: one line for each refusal, with the attempt that explains it. */
type RefusalLine = LogLine & { reason: DemoReason }

/** Makes the witness, who reads what is new in the log, and looks each refusal up in the timeline of its attempt. */
export function createWitness(server: Pick<DemoServer, 'log'>, api: DemoApi): () => Promise<Finding[]> {
  let read = 0

  async function find({ reason, attempt_id: attemptId, problem = '' }: RefusalLine): Promise<Finding> {
    const base = { reason, attemptId }
    if (attemptId === undefined) {
      const detail = [problem, ONLY_THERE].filter((text) => text !== '').join('; ')
      return { ...base, text: WITHOUT_ATTEMPT[reason] ?? '', detail }
    }
    const { timeline } = await api.call('GET', `/enrollment-attempts/${attemptId}`)
    const step = (timeline as Step[]).findLast((each) => each.reason === reason)
    if (step === undefined) throw new Error(`the timeline of attempt ${attemptId} has no ${reason}`)
    return { ...base, text: step.reason_text ?? '', detail: detailOf(step.detail) }
  }

  return async () => {
    const fresh = server.log.slice(read)
    read = server.log.length
    const refusals = fresh.filter(isRefusal)
    const told = refusals.filter((line, at) => line.reason !== refusals[at - 1]?.reason)
    return Promise.all(told.map(find))
  }
}

/** These begin no attempt: nothing was proved yet. */
const WITHOUT_ATTEMPT: Partial<Record<DemoReason, string>> = {
  unknown_key: 'The enrollment address is not one of ours.',
  machine_info_invalid: 'What the device said about itself cannot be read.',
  machine_info_untrusted: 'What the device said about itself is not signed by a device of Apple.',
  link_used_up: 'The enrollment link has been used as often as it may be.',
  link_expired: 'The enrollment link has expired.',
  link_revoked: 'The enrollment link was revoked.',
}
const ONLY_THERE = 'this begins no attempt: it is in the log, the metrics, and an event an hour'

function isRefusal(line: LogLine): line is RefusalLine {
  const isOfEnrollment = /^(enrollment|certificate)\./.test(line.event ?? '')
  return isOfEnrollment && (DEMO_REASONS as readonly (string | undefined)[]).includes(line.reason)
}

/** What is worth telling beside the reason: plain values, no ids. */
function detailOf(detail: Readonly<Record<string, unknown>>): string {
  const { problem, message, ...rest } = detail
  const words = [problem, message].filter((text) => typeof text === 'string')
  const facts = Object.entries(rest)
    .filter(
      ([name, value]) =>
        !/(^|_)(ids?|uuid|at)$/.test(name) && ['string', 'number', 'boolean'].includes(typeof value),
    )
    .map(([name, value]) => `${name.replaceAll('_', ' ')} ${String(value)}`)
  return [...words, ...facts].join(', ')
}

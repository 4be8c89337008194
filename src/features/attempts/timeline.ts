import { STEPS, type Attempt, type StepName, type TimelineStep } from './types.ts'

/** That an attempt went nowhere: no refusal. */
export const ABANDONED = 'abandoned'

/** The last thing that was refused. */
export function lastRefusal(steps: readonly TimelineStep[]): (TimelineStep & { reason: string }) | undefined {
  return steps.findLast(isRefusal)
}

/** Why an attempt went nowhere: its last refusal, unless what was refused has passed after it. */
export function reasonOfEnd(steps: readonly TimelineStep[]): string {
  const at = steps.findLastIndex(isRefusal)
  const refusal = steps[at]
  const hasPassed = steps
    .slice(at + 1)
    .some(({ step, outcome }) => step === refusal?.step && outcome === 'passed')
  return hasPassed ? ABANDONED : (refusal?.reason ?? ABANDONED)
}

function isRefusal(step: TimelineStep): step is TimelineStep & { reason: string } {
  return step.outcome === 'refused' && step.reason !== null && step.reason !== ABANDONED
}

/** What usually follows; Setup Assistant's sign-in and the device limit, say, are not part of every way. */
const FOLLOWS: Partial<Record<StepName, StepName>> = {
  contact: 'profile',
  assignment: 'profile',
  os_version: 'profile',
  sign_in: 'profile',
  device_limit: 'profile',
  profile: 'certificate',
  certificate: 'authenticate',
  authenticate: 'token_update',
  token_update: 'configured',
  release: 'configured',
}

/** The step that an abandoned attempt never came to, by the last one it passed. */
export function nextStep(reached: string | undefined): StepName {
  const step = STEPS.find((name) => name === reached)
  return (step && FOLLOWS[step]) ?? 'contact'
}

type EventSource = Pick<Attempt, 'id' | 'enrollment_id' | 'serial_number' | 'user_name'>

/** What says in an event which attempt it is about. */
export function named({ id, enrollment_id, serial_number, user_name }: EventSource) {
  return { attempt_id: id, enrollment_id, serial_number, user_name }
}

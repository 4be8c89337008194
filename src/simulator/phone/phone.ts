import { systemClock } from '../../kernel/clock.ts'
import type { ActivationProfile } from '../apple-cloud/organization.ts'
import { createDevice, type DeviceOptions } from '../device/device.ts'
import type { EnrollmentOutcome } from '../device/enrollment.ts'
import type { PushDelivery } from '../device/push-delivery.ts'
import type { Person } from '../person.ts'
import { createDeviceHttp, type DeviceHttp, type HttpAnswer } from '../wire/device-http.ts'
import { watchViolations, type ReportViolation } from '../wire/violations.ts'
import { planOfPage, planOfService, readActivation, type SetupPlan } from './activation.ts'
import { createMachineInfo, type MachineInfoOptions } from './machine-info.ts'
import { createManagedLife } from './managed-life.ts'
import { askNatively } from './native-form.ts'
import type { PhoneSteps, ProfileEnd } from './setup-steps.ts'
import { checkSilence } from './silence.ts'
import { askOnPages } from './web-view.ts'

/** What makes a phone; only facts, http, random, keys, activate and identity are needed. */
export interface PhoneOptions
  extends Omit<DeviceOptions, 'awaitConfiguration' | 'viaAde'>, MachineInfoOptions {
  /** What Apple gives it at activation, such as `activate` of the fake cloud; undefined when no profile is assigned. */
  activate: (serialNumber: string) => ActivationProfile | undefined | Promise<ActivationProfile | undefined>
  person?: Person
  /** Brings its pushes. */
  pushes?: PushDelivery
  /** How long it is held in Setup Assistant before that is a violation, in milliseconds (default: 20 minutes). */
  configurationPatienceMs?: number
}

/** How a power-on ended. */
interface PowerOnResult {
  /**
   * `refused`: the server said no. `stuck`: it cannot go on for another reason. `unmanaged`: Apple has no profile for it,
   * so it is set up as a private device.
   */
  outcome: 'enrolled' | 'refused' | 'stuck' | 'unmanaged'
  /** What the person reads at the end. */
  screen: string
  way: 'native' | 'web' | undefined
  /** The answer that ended it; 200 when enrolled, undefined when there was none. */
  httpStatus: number | undefined
  /** How often the person typed a password. */
  signInTries: number
  /** It was held until DeviceConfigured. */
  awaitedConfiguration: boolean
  /** The version that it updated itself to on the way. */
  updatedTo: string | undefined
  /** Why the installation of the profile failed. */
  reason: string | undefined
}

/** A phone that goes through Setup Assistant and is a managed device from then on. */
export type Phone = ReturnType<typeof createPhone>

const CONFIGURATION_PATIENCE_MS = 20 * 60_000
const HOME = 'Home Screen'
const NOTHING_DONE: PowerOnResult = {
  outcome: 'unmanaged',
  screen: HOME,
  way: undefined,
  httpStatus: undefined,
  signInTries: 0,
  awaitedConfiguration: false,
  updatedTo: undefined,
  reason: undefined,
}

/** Makes a phone as it comes out of its box. */
export function createPhone(options: PhoneOptions) {
  const { clock = systemClock, newestOs, activate, pushes } = options
  const facts = { ...options.facts }
  let plan: SetupPlan | undefined
  let lastAnswer: HttpAnswer | undefined

  const { seen, keep, report } = watchViolations(facts.serialNumber, clock, options.onViolation)
  const http = watch(options.http, (answer) => (lastAnswer = answer))
  const device = createDevice({
    ...options,
    facts,
    http,
    clock,
    onViolation: keep,
    get awaitConfiguration() {
      return plan?.awaitsConfiguration ?? false
    },
    get viaAde() {
      return plan?.viaAde ?? false
    },
    onToken(token) {
      pushes?.register(token, life.receivePush)
      options.onToken?.(token)
    },
  })
  const life = createManagedLife(device, clock, report)

  async function install(setup: SetupPlan, bytes: Buffer, base: PowerOnResult): Promise<PowerOnResult> {
    lastAnswer = undefined
    const outcome = await life.inTurn(() => device.enroll({ profile: bytes }))
    if (!outcome.enrolled) return { ...base, ...failure(outcome, lastAnswer, report) }
    const enrolled: PowerOnResult = { ...base, outcome: 'enrolled', screen: HOME, httpStatus: 200 }
    if (!setup.awaitsConfiguration) return enrolled
    const isFree = await life.configured(options.configurationPatienceMs ?? CONFIGURATION_PATIENCE_MS)
    const screen = isFree ? HOME : `Awaiting final configuration from ${setup.organization}`
    return { ...enrolled, outcome: isFree ? 'enrolled' : 'stuck', screen, awaitedConfiguration: isFree }
  }

  async function setUp(
    next: SetupPlan,
    person: Person | undefined,
    introducesItself: boolean,
  ): Promise<PowerOnResult> {
    const before = facts.osVersion
    plan = next
    facts.supervised = plan.supervised
    const { organization } = plan
    const machineInfo = createMachineInfo(facts, clock, options)
    const steps = { http, clock, facts, organization, person, report, newestOs, machineInfo }
    const end = await askForProfile(steps, plan, introducesItself)
    const base: PowerOnResult = {
      ...NOTHING_DONE,
      way: plan.webUrl === undefined ? 'native' : 'web',
      signInTries: end.signInTries,
      updatedTo: facts.osVersion === before ? undefined : facts.osVersion,
    }
    if (end.kind === 'profile') return install(plan, end.bytes, base)
    return { ...base, outcome: end.kind, screen: end.screen, httpStatus: end.httpStatus }
  }

  /** Erased with Return to Service: nobody is there, and the profile that the command brought enrols it. */
  function returnToService(
    profile: Uint8Array,
    activation: ActivationProfile | undefined,
  ): Promise<PowerOnResult> {
    plan = activation === undefined ? planOfService(facts.supervised) : readActivation(activation)
    return install(plan, Buffer.from(profile), NOTHING_DONE)
  }

  return {
    /** Its OS version changes with an update. */
    facts,
    /** The managed device that it becomes. */
    device,
    /** From the first screen to the Home Screen or to where it ends; after `erase`, or an EraseDevice command, again. By its person, or somebody else. */
    async powerOn(person = options.person) {
      const profile = await activate(facts.serialNumber)
      const service = device.status() === 'erased' ? device.view().erasure?.returnToService : undefined
      if (service?.mdmProfile !== undefined) return returnToService(service.mdmProfile, profile)
      return profile === undefined ? NOTHING_DONE : setUp(readActivation(profile), person, true)
    },
    /** Set up already, it is enrolled by its person: in a browser, from this address to the profile. */
    enrollOnPage: (url: string, person: Person) => setUp(planOfPage(url), person, false),
    receivePush: life.receivePush,
    /** A session with the server, after those that were asked for before. */
    poll: life.poll,
    /** All content and settings: nothing is sent. */
    erase(): void {
      if (device.status() !== 'erased') device.erase()
    },
    /** Resolves when nothing is going on. */
    idle: life.idle,
    violations: () => seen,
    /** Errors of the simulator itself; none, if it is right. */
    faults: life.faults,
  }
}

/** Asks in the way that the plan says, and over a connection of its own where the plan says whom to trust. */
async function askForProfile(
  steps: PhoneSteps,
  { url, webUrl, anchors }: SetupPlan,
  introducesItself: boolean,
): Promise<ProfileEnd> {
  const own = anchors === undefined ? undefined : createDeviceHttp({ ca: anchors })
  const http = own ?? steps.http
  try {
    if (webUrl === undefined) return await askNatively({ ...steps, http }, url)
    return await askOnPages({ ...steps, http }, webUrl, introducesItself)
  } finally {
    own?.close()
  }
}

/** Notes the answers that pass. */
function watch(http: DeviceHttp, note: (answer: HttpAnswer) => void): DeviceHttp {
  return {
    async send(request) {
      const answer = await http.send(request)
      note(answer)
      return answer
    },
    close: () => http.close(),
  }
}

/** What the screen says when the profile could not be installed. */
function failure(
  outcome: Extract<EnrollmentOutcome, { enrolled: false }>,
  answer: HttpAnswer | undefined,
  report: ReportViolation,
): Pick<PowerOnResult, 'outcome' | 'screen' | 'httpStatus' | 'reason'> {
  const { step, reason, lost } = outcome
  const refused = !lost && step !== 'profile'
  if (refused && answer?.status === 403) checkSilence(step, answer, report)
  return {
    outcome: refused ? 'refused' : 'stuck',
    screen: step === 'profile' ? 'Invalid Profile' : 'Profile Installation Failed',
    httpStatus: answer?.status,
    reason: `${step}: ${reason}`,
  }
}

import { systemClock } from '../../kernel/clock.ts'
import type { ActivationProfile } from '../apple-cloud/organization.ts'
import type { DeviceFacts } from '../device-facts.ts'
import type { Channel, Push } from '../device/channel.ts'
import { createDevice } from '../device/device.ts'
import type { Device, DeviceOptions } from '../device/device.ts'
import type { EnrollmentOutcome } from '../device/enrollment.ts'
import type { PushDelivery } from '../device/push-delivery.ts'
import type { SessionReport } from '../device/session.ts'
import { createDeviceHttp } from '../wire/device-http.ts'
import type { DeviceHttp, HttpAnswer } from '../wire/device-http.ts'
import type { Violation, ViolationKind } from '../wire/violations.ts'
import { readActivation } from './activation.ts'
import type { SetupPlan } from './activation.ts'
import { machineInfoOf } from './machine-info.ts'
import type { MachineInfoOptions } from './machine-info.ts'
import { askNatively } from './native-form.ts'
import type { Person, PhoneSteps, ProfileEnd } from './setup-steps.ts'
import { checkSilence } from './silence.ts'
import { askOnPages } from './web-view.ts'

/** What makes a phone; only facts, http, random, keys, activate and identity are needed. */
export interface PhoneOptions extends Omit<DeviceOptions, 'awaitConfiguration' | 'facts'> {
  facts: DeviceFacts
  /** What Apple gives it at activation, such as `activate` of the fake cloud; undefined when no profile is assigned. */
  activate: (serialNumber: string) => ActivationProfile | undefined | Promise<ActivationProfile | undefined>
  /** Its identity from the factory and the certificates that go along. */
  identity: MachineInfoOptions['identity']
  chain?: MachineInfoOptions['chain']
  person?: Person
  /** The newest OS version that it can be told to update to; it cannot be told to when left out. */
  newestOs?: string
  /** For phones that lie. */
  changeMachineInfo?: MachineInfoOptions['change']
  /** When it believes to sign that, whatever the time: its clock stands still, so that it says the same again. */
  signsAt?: Date
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
export interface Phone {
  /** Its OS version changes with an update. */
  readonly facts: DeviceFacts
  /** The managed device that it becomes. */
  readonly device: Device
  /** From the first screen to the Home Screen or to where it ends; after `erase`, or an EraseDevice command, again. By its person, or somebody else. */
  powerOn(somebodyElse?: Person): Promise<PowerOnResult>
  /** Set up already, it is enrolled by its person: in a browser, from this address to the profile. */
  enrollOnPage(url: string, person: Person): Promise<PowerOnResult>
  /** All content and settings: nothing is sent. */
  erase(): void
  receivePush(push: Push): void
  /** A session with the server, after those that were asked for before. */
  poll(channel?: Channel): Promise<SessionReport>
  /** Resolves when nothing is going on. */
  idle(): Promise<void>
  violations(): readonly Violation[]
  /** Errors of the simulator itself; none, if it is right. */
  faults(): readonly string[]
}

const CONFIGURATION_PATIENCE_MS = 20 * 60_000
const SELF_POLL_MS = 10_000
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
export function createPhone(options: PhoneOptions): Phone {
  const { clock = systemClock, identity, chain = [], newestOs, activate, pushes } = options
  const facts = { ...options.facts }
  const seen: Violation[] = []
  const faults: string[] = []
  let plan: SetupPlan | undefined
  let lastAnswer: HttpAnswer | undefined
  let running: Promise<unknown> = Promise.resolve()
  let awake: () => void = () => undefined

  const keep = (violation: Violation) => {
    seen.push(violation)
    options.onViolation?.(violation)
  }
  const report = (kind: ViolationKind, detail: string) =>
    keep({ kind, at: clock.now(), serialNumber: facts.serialNumber, detail })
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
    onToken(token) {
      pushes?.register(token, receivePush)
      options.onToken?.(token)
    },
  })

  /** One thing at a time, in the order in which it was asked for. */
  function inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = running.then(task)
    running = result.catch(() => undefined)
    return result
  }

  function poll(channel?: Channel): Promise<SessionReport> {
    return inTurn(async () => {
      const session = await device.poll(channel)
      if (session.pollsAgain || session.end === 'later' || session.end === 'restarting') {
        clock.after(SELF_POLL_MS, () => wake(channel))
      }
      awake()
      return session
    })
  }

  function wake(channel?: Channel): void {
    const fault = (error: unknown) => void faults.push(String((error as Error).stack))
    void inTurn(() => Promise.resolve(device.status() === 'enrolled')).then((isEnrolled) => {
      if (isEnrolled) poll(channel).catch(fault)
    })
  }

  function receivePush(push: Push): void {
    const channel = device.receivePush(push)
    if (channel !== undefined) wake(channel)
  }

  async function askForProfile(
    { organization, url, webUrl, anchors }: SetupPlan,
    person: Person | undefined,
    inBrowser = false,
  ): Promise<ProfileEnd> {
    const own = anchors === undefined ? undefined : createDeviceHttp({ ca: anchors })
    const canUpdate = newestOs !== undefined
    const change = options.changeMachineInfo
    /** What is posted again after the sign-in form is what was signed before. */
    const signed = new Map<string, Promise<Buffer>>()
    function machineInfo(): Promise<Buffer> {
      const known = signed.get(facts.osVersion)
      if (known !== undefined && change === undefined) return known
      const fresh = {
        identity,
        chain,
        canUpdate,
        now: options.signsAt ?? clock.now(),
        ...(change && { change }),
      }
      const made = machineInfoOf(facts, fresh)
      signed.set(facts.osVersion, made)
      return made
    }
    const steps: PhoneSteps = {
      http: own ?? http,
      clock,
      facts,
      organization,
      person,
      report,
      newestOs,
      machineInfo,
    }
    try {
      if (webUrl === undefined) return await askNatively(steps, url)
      return await askOnPages(steps, webUrl, { introducesItself: !inBrowser })
    } finally {
      own?.close()
    }
  }

  /** Held by the server; true when it let the phone go, false when it is managed no more or patience ends. */
  function configured(): Promise<boolean> {
    const isDone = () =>
      device.results().some(({ requestType, status, acknowledged }) => {
        return requestType === 'DeviceConfigured' && status === 'Acknowledged' && acknowledged
      })
    return new Promise((resolve) => {
      const patience = options.configurationPatienceMs ?? CONFIGURATION_PATIENCE_MS
      const undo = clock.after(patience, () => {
        report('not_configured', `no DeviceConfigured within ${patience / 1_000} s`)
        awake = () => undefined
        resolve(false)
      })
      awake = () => {
        if (!isDone() && device.status() === 'enrolled') return
        undo()
        resolve(isDone())
      }
      awake()
    })
  }

  async function install(setup: SetupPlan, bytes: Buffer, base: PowerOnResult): Promise<PowerOnResult> {
    lastAnswer = undefined
    const outcome = await inTurn(() => device.enroll({ profile: bytes }))
    if (!outcome.enrolled) return { ...base, ...failure(outcome, lastAnswer, report) }
    const enrolled: PowerOnResult = { ...base, outcome: 'enrolled', screen: HOME, httpStatus: 200 }
    if (!setup.awaitsConfiguration) return enrolled
    const isFree = await configured()
    const screen = isFree ? HOME : `Awaiting final configuration from ${setup.organization}`
    return { ...enrolled, outcome: isFree ? 'enrolled' : 'stuck', screen, awaitedConfiguration: isFree }
  }

  async function enrollOnPage(url: string, person: Person): Promise<PowerOnResult> {
    plan = {
      organization: new URL(url).host,
      url,
      webUrl: url,
      awaitsConfiguration: false,
      supervised: false,
      anchors: undefined,
    }
    facts.supervised = false
    const end = await askForProfile(plan, person, true)
    const base: PowerOnResult = { ...NOTHING_DONE, way: 'web', signInTries: end.signInTries }
    if (end.kind === 'profile') return install(plan, end.bytes, base)
    const { kind: outcome, screen, httpStatus } = end
    return { ...base, outcome, screen, httpStatus }
  }

  async function powerOn(person = options.person): Promise<PowerOnResult> {
    const before = facts.osVersion
    const base = NOTHING_DONE
    const profile = await activate(facts.serialNumber)
    if (profile === undefined) return base
    plan = readActivation(profile)
    facts.supervised = plan.supervised
    const end = await askForProfile(plan, person)
    const { signInTries } = end
    const way = plan.webUrl === undefined ? 'native' : 'web'
    const updatedTo = facts.osVersion === before ? undefined : facts.osVersion
    if (end.kind === 'profile') return install(plan, end.bytes, { ...base, way, signInTries, updatedTo })
    const { kind: outcome, screen, httpStatus } = end
    return { ...base, outcome, screen, httpStatus, way, signInTries, updatedTo }
  }

  return {
    facts,
    device,
    powerOn,
    enrollOnPage,
    receivePush,
    poll,
    erase: () => device.forget(),
    async idle() {
      for (let last; last !== running;) {
        last = running
        await last
      }
    },
    violations: () => seen,
    faults: () => faults,
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
  report: (kind: ViolationKind, detail: string) => void,
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

import type { ErrorLink } from '../../device-fault.ts'
import type { Random } from '../../random.ts'

/** How a command ends when the device does not simply do it; with `links` it is an Error with that chain. */
export type Refusal = 'NotNow' | 'Error' | 'CommandFormatError' | { links: readonly ErrorLink[] }

/** A step of a script; `Acknowledged` means that the device does it. */
type MoodStep = Refusal | 'Acknowledged'

/** How often a device is not willing; probabilities from 0 to 1, all 0 when left out. */
export interface MoodOptions {
  notNow?: number
  fail?: number
  formatError?: number
  /**
   * What happens to the next commands, in this order, before chance has its say: by type, or by type and what it is
   * about (`InstallProfile ch.example.wifi`: the identifier of a profile, a bundle id, the number in the store).
   */
  script?: Readonly<Record<string, readonly MoodStep[]>>
  /** Decides before everything else; undefined: the script and chance do. */
  decide?: (requestType: string, about: string | undefined) => MoodStep | undefined
}

/** The mood of one device. */
export type Mood = ReturnType<typeof createMood>

/** The mood of one device. */
export function createMood(random: Random, options: MoodOptions = {}) {
  const scripts = new Map(Object.entries(options.script ?? {}).map(([key, steps]) => [key, [...steps]]))
  const { notNow = 0, fail = 0, formatError = 0, decide } = options

  function scripted(requestType: string, about: () => string | undefined): MoodStep | undefined {
    const isWanted =
      decide !== undefined || [...scripts.keys()].some((key) => key.startsWith(`${requestType} `))
    const what = isWanted ? about() : undefined
    return (
      decide?.(requestType, what) ??
      scripts.get(`${requestType} ${what}`)?.shift() ??
      scripts.get(requestType)?.shift()
    )
  }

  /** Whether the device refuses a command, and how; undefined: it does it. `about`: what the command is about. */
  function refusal(
    requestType: string,
    about: () => string | undefined = () => undefined,
  ): Refusal | undefined {
    const step = scripted(requestType, about)
    if (step !== undefined) return step === 'Acknowledged' ? undefined : step
    const draw = random.next()
    if (draw < notNow) return 'NotNow'
    if (draw < notNow + fail) return 'Error'
    return draw < notNow + fail + formatError ? 'CommandFormatError' : undefined
  }

  return Object.assign(refusal, {
    /** Adds to the script. */
    script(key: string, ...steps: MoodStep[]): void {
      scripts.set(key, [...(scripts.get(key) ?? []), ...steps])
    },
  })
}

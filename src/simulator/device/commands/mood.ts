import type { Random } from '../../random.ts'

/** How a command ends when the device does not simply do it. */
type Refusal = 'NotNow' | 'Error' | 'CommandFormatError'

/** How often a device is not willing; probabilities from 0 to 1, all 0 when left out. */
export interface MoodOptions {
  notNow?: number
  fail?: number
  formatError?: number
  /**
   * What happens to the next commands of a type, in this order, before chance has its say;
   * `Acknowledged` means that the device does it.
   */
  script?: Readonly<Record<string, readonly (Refusal | 'Acknowledged')[]>>
}

/** Decides for each command whether the device refuses it; undefined = it does it. */
export type Mood = (requestType: string) => Refusal | undefined

/** The mood of one device. */
export function createMood(random: Random, options: MoodOptions = {}): Mood {
  const scripts = new Map(Object.entries(options.script ?? {}).map(([type, steps]) => [type, [...steps]]))
  const { notNow = 0, fail = 0, formatError = 0 } = options
  return (requestType) => {
    const step = scripts.get(requestType)?.shift()
    if (step !== undefined) return step === 'Acknowledged' ? undefined : step
    const draw = random.next()
    if (draw < notNow) return 'NotNow'
    if (draw < notNow + fail) return 'Error'
    return draw < notNow + fail + formatError ? 'CommandFormatError' : undefined
  }
}

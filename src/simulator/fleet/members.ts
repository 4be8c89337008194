import { systemClock, type Clock } from '../../kernel/clock.ts'
import { inventDevice } from '../device-facts.ts'
import type { Channel } from '../device/channel.ts'
import { createDevice, type Device, type DeviceOptions } from '../device/device.ts'
import { createKeyPool, type KeyPool } from '../key-pool.ts'
import { createRandom, type Random } from '../random.ts'
import type { DeviceHttp } from '../wire/device-http.ts'
import type { Violation } from '../wire/violations.ts'

/** A device of a fleet. */
export interface Member {
  readonly index: number
  readonly device: Device
  readonly random: Random
  /** The channels that are to poll. */
  readonly wanted: Set<Channel>
  /** When the push came that is not answered yet, in milliseconds since 1970. */
  pushedAt: number | undefined
  running: Promise<void> | undefined
  asleep: boolean
}

/** What the devices of a fleet are. */
export interface MembersOptions {
  size: number
  http: DeviceHttp
  /** The same seed gives the same devices with the same moods. */
  seed?: string
  clock?: Clock
  keys?: KeyPool
  /** What is special about device number `index`. */
  device?: (index: number, random: Random) => Partial<DeviceOptions>
}

/** The devices of a fleet, and whose push tokens are whose. */
export function createMembers(
  options: MembersOptions,
  violations: Violation[],
): { members: readonly Member[]; byToken: ReadonlyMap<string, Member> } {
  const { size, seed = 'firstboot', http, keys = createKeyPool(), clock = systemClock } = options
  const byToken = new Map<string, Member>()
  const members = Array.from({ length: size }, (_, index): Member => {
    const random = createRandom(`${seed}/${index}`)
    const changes = options.device?.(index, random.fork('options')) ?? {}
    const device = createDevice({
      http,
      keys,
      clock,
      patience: 5,
      random: random.fork('device'),
      facts: inventDevice(random.fork('facts')),
      onViolation: (violation) => void violations.push(violation),
      onToken: (token) => void byToken.set(token, member),
      ...changes,
    })
    const member: Member = {
      index,
      device,
      random: random.fork('fleet'),
      wanted: new Set(),
      pushedAt: undefined,
      running: undefined,
      asleep: false,
    }
    return member
  })
  return { members, byToken }
}

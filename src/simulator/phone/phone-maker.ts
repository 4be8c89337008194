import type { FakeAppleCa } from '../apple-cloud/apple-ca.ts'
import { inventDevice, type DeviceFacts } from '../device-facts.ts'
import { createKeyPool } from '../key-pool.ts'
import { createRandom } from '../random.ts'
import { createPhone, type Phone, type PhoneOptions } from './phone.ts'

/** What is special about a phone. `identity`: of a stranger, say; the fake Apple CA gives one otherwise. */
type PhoneWishes = Partial<Omit<PhoneOptions, 'facts'>> & { facts?: Partial<DeviceFacts> }

/** Makes phones that a fake Apple knows. The same seed gives the same phones in the same order. */
export function createPhoneMaker(
  deps: Pick<PhoneOptions, 'http' | 'activate'> &
    Partial<Pick<PhoneOptions, 'keys' | 'clock' | 'pushes' | 'onViolation'>> & {
      ca: FakeAppleCa
      seed?: string
    },
): (wishes?: PhoneWishes) => Promise<Phone> {
  const { ca, seed = 'firstboot', ...common } = deps
  const keys = deps.keys ?? createKeyPool()
  let count = 0
  return async ({ facts: changes = {}, ...wishes } = {}) => {
    const random = createRandom(`${seed}/phone ${count++}`)
    const facts = inventDevice(random.fork('facts'), changes)
    const identity = wishes.identity ?? (await ca.deviceIdentity(facts.serialNumber))
    return createPhone({ keys, patience: 5, chain: ca.chain, ...common, random, ...wishes, facts, identity })
  }
}

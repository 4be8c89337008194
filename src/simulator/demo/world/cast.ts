import { deliverPushes } from '../../device/push-delivery.ts'
import { createKeyPool } from '../../key-pool.ts'
import { createPhoneMaker } from '../../phone/phone-maker.ts'
import type { Fakes } from './fakes.ts'
import type { Act, Actor } from './stage.ts'
import { createTap } from './tap.ts'

const MODELS = [
  { model: 'iPhone 13', productName: 'iPhone14,5', apple: 'MLPF3ZD' },
  { model: 'iPhone 14 Pro', productName: 'iPhone15,2', apple: 'MQ003ZD' },
  { model: 'iPhone 16', productName: 'iPhone17,3', apple: 'MYE73ZD' },
] as const
const KEY_POOL_SIZE = 4
/** A phone that is held in Setup Assistant longer than this has been forgotten. */
const FORGOTTEN_MS = 60_000

/** Makes the phones of all acts, as they come out of their boxes; always the same ones. */
export async function makeActors(acts: readonly Act[], fakes: Fakes): Promise<Actor[]> {
  const { ade, apns, ca, clock, http } = fakes
  const make = createPhoneMaker({
    ca,
    clock,
    http,
    activate: ade.activate,
    pushes: deliverPushes(apns),
    seed: 'demo',
    keys: createKeyPool(KEY_POOL_SIZE),
  })
  const actors: Actor[] = []
  for (const act of acts) {
    if (actors.some(({ number }) => number === act.phone)) continue
    const { model, productName, apple } = MODELS[act.phone % MODELS.length]!
    const hardware = { platform: 'ios', productName, model: apple, modelName: 'iPhone' } as const
    const tap = createTap(http)
    const { facts, ...special } = (await act.special?.(fakes)) ?? {}
    const phone = await make({
      http: tap.http,
      patience: 0,
      configurationPatienceMs: FORGOTTEN_MS,
      ...special,
      facts: { ...hardware, osVersion: '18.5', buildVersion: '22F76', ...facts },
    })
    actors.push({ number: act.phone, model, phone, tap })
  }
  return actors
}

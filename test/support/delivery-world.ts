import { expect } from 'vitest'
import type { Device, DeviceOptions } from '../../src/simulator/index.ts'
import { ADMIN_TOKEN, type TestApp } from './app.ts'
import { profileXml } from './delivery-profile.ts'

const MOST_ROUNDS = 200

/** A delivery as the API tells it, as far as tests look at it. */
export interface ToldDelivery {
  id: string
  state: string
  reason: string | null
  revision: number | null
  identifier: string | null
}

/** Groups, what they deliver, and devices that come for it. Names of one test file must not meet those of another. */
export function deliveryWorld(world: TestApp, prefix: string) {
  let made = 0

  async function upload(method: 'POST' | 'PUT', path: string, body: string) {
    const response = await fetch(`${world.url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/x-apple-aspen-config' },
      body,
    })
    const told = (await response.json()) as {
      id: string
      revision: number
      released_revision: number
      identifier: string
      code?: string
    }
    return { ...told, status: response.status }
  }

  /** A new profile. */
  async function profile(more: Parameters<typeof profileXml>[0] = {}) {
    const identifier = `net.example.${prefix}${++made}`
    const told = await upload('POST', '/profiles', profileXml({ identifier, ...more }))
    expect([told.status, told.code]).toEqual([201, undefined])
    return told
  }

  /** A group with these devices. */
  async function group(...devices: Device[]): Promise<string> {
    const { body } = await world.api('POST', '/groups', { name: `${prefix} ${++made}`, kind: 'static' })
    if (devices.length > 0) await join(body.id as string, ...devices)
    return body.id as string
  }

  async function join(groupId: string, ...devices: Device[]): Promise<void> {
    const ids = devices.map(({ facts }) => facts.udid)
    await world.api('POST', `/groups/${groupId}/members`, { device_ids: ids })
  }

  async function put(groupId: string, ...items: Record<string, unknown>[]): Promise<void> {
    const { status, body } = await world.api('PUT', `/groups/${groupId}/contents`, { items })
    expect([status, body.errors]).toEqual([200, undefined])
  }

  const deliveries = async ({ facts }: Device): Promise<ToldDelivery[]> =>
    (await world.api('GET', `/devices/${facts.udid}/deliveries`)).body.items

  /** What a device has of a thing. */
  const delivery = async (device: Device, { id }: { id: string }) =>
    (await deliveries(device)).find((one) => one.id === id)

  /** Time passes and devices come, until it is so. */
  async function until(
    devices: readonly Device[],
    isSo: () => Promise<boolean> | boolean,
    ms = 1_000,
  ): Promise<void> {
    await world.settle()
    for (let round = 0; !(await isSo()); round++) {
      if (round === MOST_ROUNDS)
        throw new Error(`not so: ${JSON.stringify(await Promise.all(devices.map(deliveries)))}`)
      await comes(devices, ms)
    }
  }

  /** Time passes and devices come, so many times. */
  async function pass(devices: readonly Device[], ms: number, rounds: number): Promise<void> {
    await world.settle()
    for (let round = 0; round < rounds; round++) await comes(devices, ms)
  }

  /** Time passes and devices come, once; what was begun before is over, as it is afterwards. */
  async function comes(devices: readonly Device[], ms: number): Promise<void> {
    world.clock.advance(ms)
    await world.settle()
    for (const device of devices) await device.poll()
    await world.settle()
  }

  /** Until a thing has come so far with devices. */
  const untilIs = (
    devices: readonly Device[],
    thing: { id: string },
    is: Partial<ToldDelivery>,
    ms = 1_000,
  ) =>
    until(
      devices,
      async () => {
        const told = await Promise.all(devices.map((device) => delivery(device, thing)))
        return told.every((one) =>
          Object.entries(is).every(([name, value]) => one?.[name as keyof ToldDelivery] === value),
        )
      },
      ms,
    )

  /** A device that has enrolled and said what it is. */
  async function member(options: Partial<DeviceOptions> = {}): Promise<Device> {
    const device = await world.enrolled(options)
    await world.introduced(device)
    return device
  }

  return {
    profile,
    /** The next revision of a profile. */
    replace: (of: { id: string; identifier: string }, ssid: string, query = '') =>
      upload('PUT', `/profiles/${of.id}${query}`, profileXml({ identifier: of.identifier, ssid })),
    group,
    join,
    put,
    /** An item of contents. */
    bring: ({ id }: { id: string }, more: Record<string, unknown> = {}) => ({ kind: 'profile', id, ...more }),
    deliveries,
    delivery,
    until,
    untilIs,
    pass,
    member,
  }
}

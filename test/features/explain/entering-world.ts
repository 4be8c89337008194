import { signMachineInfo } from '../../../src/protocol/ade/index.ts'
import type { FakeAppleCa, Phone } from '../../../src/simulator/index.ts'
import type { AdeApp } from '../../support/ade-app.ts'
import type { TestDatabase } from '../../support/database.ts'

const PASSWORD = 'right password'
export const HOUR = 3_600_000

/** Phones that come, or do not, and what can go wrong with that. */
export type EnteringWorld = Awaited<ReturnType<typeof enteringWorld>>

export async function enteringWorld(world: AdeApp, database: TestDatabase) {
  const open = await world.policy()
  const native = await world.policy({ user_affinity: 'prompt' })
  let bought = 0

  const serialOf = ({ facts }: Phone) => facts.serialNumber
  const basic = (name: string, password = PASSWORD) => ({
    authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
  })

  /** The phone is switched on, and somebody types this. */
  async function post(
    phone: Phone,
    headers: Record<string, string> = {},
    { url = world.activation(phone).url, ca = world.ca }: { url?: string; ca?: FakeAppleCa } = {},
  ): Promise<number> {
    const { facts } = phone
    world.clock.advance(1)
    const body = await signMachineInfo(
      {
        ...{ UDID: facts.udid, SERIAL: facts.serialNumber, PRODUCT: facts.productName },
        ...{ VERSION: facts.buildVersion, OS_VERSION: facts.osVersion },
      },
      await ca.deviceIdentity(facts.serialNumber),
      { chain: ca.chain },
    )
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/pkcs7-signature', ...headers },
      body: new Uint8Array(body),
    })
    await response.arrayBuffer()
    return response.status
  }

  /** A person of this kind signs in on a new phone. */
  async function signedIn(name: string, fields: Record<string, unknown> = {}, password = PASSWORD) {
    await world.user(name, fields)
    const phone = await world.phone(native)
    await post(phone, basic(name, password))
    return phone
  }

  /** A serial number that Apple has for us, without a policy. */
  async function unassigned(): Promise<string> {
    const serial = `EXPLAIN${++bought}`
    world.fake.portal.addDevices([serial], 'Phones')
    await sync()
    return serial
  }

  async function sync(): Promise<void> {
    const state = async () => (await world.api('GET', `/ade-servers/${world.serverId}`)).body.sync
    await world.until(async () => (await state()).running === false, 50)
    world.clock.advance(1)
    await world.api('POST', `/ade-servers/${world.serverId}/syncs`)
    await world.until(async () => (await state()).running === false, 50)
  }

  /** Apple answers so for a while; then it is well again. */
  async function troubled(answer: Parameters<AdeApp['fake']['answerAll']>[0]): Promise<void> {
    world.fake.loseSessions()
    world.fake.answerAll(answer)
    await sync()
    world.fake.answerAll(null)
  }

  /** A serial number whose policy Apple does not take at once. */
  async function assigned(...results: Parameters<AdeApp['fake']['scriptSerial']>[1][]): Promise<string> {
    const serial = await unassigned()
    world.fake.scriptSerial(serial, ...results)
    await world.api('POST', `/enrollment-policies/${open}/assign`, { serial_numbers: [serial] })
    return serial
  }

  async function until(serial: string, state: string): Promise<string> {
    await world.until(
      async () => (await world.api('GET', `/ade-devices/${serial}`)).body.assignment?.state === state,
      100,
    )
    return serial
  }

  const certificates = (set: { not_after: Date }) =>
    database.kysely.updateTable('push_certificates').set(set).execute()
  const server = (set: { token_expires_at?: Date }) =>
    database.kysely.updateTable('ade_servers').set(set).execute()
  const years = (count: number) => new Date(world.clock.now().getTime() + count * 365 * 24 * HOUR)

  return {
    ...{ world, open, native, serialOf, basic, post, signedIn, unassigned, sync, troubled },
    ...{ assigned, until, certificates, server, years },
  }
}

import { randomUUID } from 'node:crypto'
import { signData } from '../../src/protocol/cms/index.ts'
import { parsePlist, writePlist, type WritablePlist } from '../../src/protocol/plist/index.ts'
import type { PlistDict } from '../../src/protocol/plist/index.ts'
import type { Identity } from '../../src/protocol/x509/index.ts'
import type { Device } from '../../src/simulator/index.ts'
import { command, type Stage } from './enrolled.ts'

/** Keys of a plist, as a test writes them. */
type Keys = Record<string, WritablePlist>

/** A payload of that type. */
export function payload(type: string, keys: Keys = {}): Keys {
  const uuid = randomUUID()
  return {
    PayloadType: type,
    PayloadVersion: 1,
    PayloadIdentifier: `ch.example.payload.${uuid}`,
    PayloadUUID: uuid,
    ...keys,
  }
}

/** A .mobileconfig; `top` changes keys of the whole, undefined takes one away. */
export function mobileconfig(
  identifier: string,
  payloads: readonly Keys[] = [payload('com.apple.wifi.managed', { SSID_STR: 'Office' })],
  top: Record<string, WritablePlist | undefined> = {},
): Buffer {
  const all: Record<string, WritablePlist | undefined> = {
    PayloadType: 'Configuration',
    PayloadVersion: 1,
    PayloadIdentifier: identifier,
    PayloadUUID: randomUUID(),
    PayloadDisplayName: identifier,
    PayloadContent: [...payloads],
    ...top,
  }
  const kept = Object.entries(all).filter((entry): entry is [string, WritablePlist] => entry[1] !== undefined)
  return Buffer.from(writePlist(Object.fromEntries(kept)))
}

/** The same, signed. */
export function signed(content: Buffer, signer: Identity): Promise<Buffer> {
  return signData({ content, signer })
}

/** The top-level PayloadUUID of a plain .mobileconfig. */
export function uuidIn(profile: Buffer): string {
  return (parsePlist(profile) as PlistDict)['PayloadUUID'] as string
}

let count = 0

/** Gives the device one command in a session of its own; its result as the server sees it. */
export async function ask(
  stage: Stage,
  device: Device,
  requestType: string,
  keys: Keys = {},
  channel?: ReturnType<Device['channels']>[number],
): Promise<PlistDict> {
  const uuid = `command ${count++}`
  stage.server.queue.push(command(uuid, requestType, keys))
  await device.poll(channel)
  const result = stage.server.seen.find(({ message }) => message['CommandUUID'] === uuid)
  return result?.message ?? {}
}

/** The error chain of a result, as `domain code` each. */
export function chainOf(result: PlistDict): string[] {
  const chain = (result['ErrorChain'] ?? []) as PlistDict[]
  return chain.map((link) => `${link['ErrorDomain'] as string} ${link['ErrorCode'] as number}`)
}

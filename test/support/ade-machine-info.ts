import { signMachineInfo } from '../../src/protocol/ade/index.ts'
import type { FakeAppleCa, Phone } from '../../src/simulator/index.ts'

/** What a phone says of itself at power-on, signed as by that CA; `changes` are lies. */
export async function machineInfoOf(
  { facts }: Phone,
  ca: FakeAppleCa,
  changes: Record<string, string> = {},
): Promise<Buffer> {
  const keys = { UDID: facts.udid, SERIAL: facts.serialNumber, PRODUCT: facts.productName, VERSION: '22B83' }
  const identity = await ca.deviceIdentity(facts.serialNumber)
  return signMachineInfo({ ...keys, OS_VERSION: '18.1', ...changes }, identity, { chain: ca.chain })
}

/** Posts bytes to the address of an ADE profile. */
export async function sendMachineInfo(url: string, body: Uint8Array, headers: Record<string, string> = {}) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/pkcs7-signature', ...headers },
    body: Buffer.from(body),
  })
  return { status: answer.status, headers: answer.headers, body: await answer.text() }
}

/** The header of credentials in the Basic scheme. */
export function basicHeader(text: string | Buffer): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(text).toString('base64')}` }
}

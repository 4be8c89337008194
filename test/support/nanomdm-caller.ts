import { writePlist } from '../../src/protocol/plist/index.ts'
import { ADMIN_TOKEN, type TestApp } from './app.ts'

/** A parsed answer, whose shape the test asserts. */
// oxlint-disable-next-line no-explicit-any -- an assertion on a missing property fails by itself
type Json = any

type Answer = { status: number; type: string | null; text: string; body: Json }

/** Calls NanoMDM's API, as the admin unless `headers` say otherwise. */
export type NanomdmCall = (
  method: string,
  path: string,
  body?: string,
  headers?: Record<string, string>,
) => Promise<Answer>

/** A raw command. */
export const plist = (uuid: string, RequestType = 'DeviceLock') =>
  Buffer.from(writePlist({ CommandUUID: uuid, Command: { RequestType } })).toString()

/** The header of Basic authentication. */
export const basic = (password: string, user = 'nanomdm') =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

/** See `NanomdmCall`. */
export async function callNanomdm(
  world: TestApp,
  ...[method, path, body, headers = { authorization: basic(ADMIN_TOKEN) }]: Parameters<NanomdmCall>
): Promise<Answer> {
  // The call waits for Apple, who is asked when some milliseconds of the server's time have gone by.
  const moving = setInterval(() => world.clock.advance(5), 5)
  try {
    const response = await fetch(`${world.url}${path}`, {
      method,
      headers,
      ...(body !== undefined && { body }),
    })
    const text = await response.text()
    const type = response.headers.get('content-type')
    return { status: response.status, type, text, body: text === '' ? null : JSON.parse(text) }
  } finally {
    clearInterval(moving)
  }
}

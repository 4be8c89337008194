import { setTimeout as pause } from 'node:timers/promises'

/** An answer, whose shape the caller knows. */
// oxlint-disable-next-line no-explicit-any -- a member that is missing shows itself at once in what the demo prints
type Json = any

/** The operator API as an administrator uses it. */
export interface DemoApi {
  /** Throws when the server refuses. Bytes and texts are sent as `type`, everything else as JSON. */
  call(method: string, path: string, body?: unknown, type?: string): Promise<Json>
  /** Asks again until the answer is as wished; throws after `seconds`. */
  until(path: string, isThere: (answer: Json) => boolean, seconds?: number): Promise<Json>
}

const UNTIL_POLL_MS = 150
const UNTIL_SECONDS = 60

/** Speaks to the server at `url`, with this token. */
export function createDemoApi({ url, token }: { url: string; token: string }): DemoApi {
  async function call(method: string, path: string, body?: unknown, type?: string): Promise<Json> {
    const raw = body instanceof Uint8Array ? Buffer.from(body) : typeof body === 'string' ? body : undefined
    const response = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { 'content-type': type ?? 'application/json' }),
      },
      ...(body !== undefined && { body: raw ?? JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} /api/v1${path} answered ${response.status}: ${text}`)
    return response.headers.get('content-type')?.includes('json') === true ? JSON.parse(text) : text
  }

  async function until(path: string, isThere: (answer: Json) => boolean, seconds = UNTIL_SECONDS) {
    const end = Date.now() + seconds * 1_000
    for (;;) {
      const answer: Json = await call('GET', path)
      if (isThere(answer)) return answer
      if (Date.now() > end)
        throw new Error(`/api/v1${path} is not as expected after ${seconds} s: ${JSON.stringify(answer)}`)
      await pause(UNTIL_POLL_MS)
    }
  }

  return { call, until }
}

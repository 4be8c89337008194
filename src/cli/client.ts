import { randomUUID } from 'node:crypto'
import { withoutFinalSlashes } from '../kernel/urls.ts'

/** One call of the operator API. */
export interface ApiCall {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below `/api/v1`. */
  path: string
  query: Record<string, string>
  /** Sent as JSON; bytes and files as they are, files piece by piece. */
  body?: unknown
  contentType?: string
  /** The answer is a file: it is given as bytes. */
  isFile?: boolean
  /** The answer goes on for long: it is given as the stream of its bytes, which ends with `signal`. */
  isStream?: boolean
  headers?: Readonly<Record<string, string>>
  signal?: AbortSignal
}

/** A problem document of the server, or what stands in for it. */
export interface Problem {
  status: number
  title: string
  detail?: string
  code?: string
  request_id?: string
  /** What is wrong with fields, or at places of the body (RFC 6901). */
  errors?: readonly ({ path: string; message: string } | { pointer: string; detail: string })[]
  /** What names a thing that is in use. */
  used_by?: readonly { kind: string; id: string; name: string }[]
  /** The devices that a command does not suit. */
  devices?: readonly { device_id: string; reasons: readonly string[]; details?: readonly string[] }[]
}

/** The server refused. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem'
  readonly problem: Problem

  constructor(problem: Problem) {
    super(problem.detail ?? problem.title)
    this.problem = problem
  }
}

/** The server cannot be reached. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable'
}

/** By which events tell that a change came from the command line. */
const USER_AGENT = 'firstboot-cli'

/** Calls the operator API; gives the parsed answer, undefined when it has no body. */
export type ApiClient = (call: ApiCall) => Promise<unknown>

/** Makes a client; `url` is the server's address without `/api/v1`. */
export function createApiClient(options: { url: string; token: string; fetch?: typeof fetch }): ApiClient {
  const { url, token, fetch: send = fetch } = options
  const base = withoutFinalSlashes(url)
  return async (call) => {
    const { method, path, query, body, contentType = 'application/json' } = call
    const target = new URL(`${base}/api/v1${path}`)
    for (const [name, value] of Object.entries(query)) target.searchParams.set(name, value)
    const headers: Record<string, string> = {
      authorization: `Bearer ${token}`,
      accept: 'application/json',
      'user-agent': USER_AGENT,
      ...call.headers,
    }
    if (body !== undefined) headers['content-type'] = contentType
    if (method === 'POST') headers['idempotency-key'] = randomUUID()
    const isRaw = body === undefined || body instanceof Uint8Array || body instanceof Blob
    const payload = isRaw ? body : JSON.stringify(body)
    let response: Response
    let bytes: Buffer
    try {
      response = await send(target, {
        ...{ method, headers, signal: call.signal ?? null },
        ...(payload === undefined ? {} : { body: payload }),
      })
      if (response.ok && call.isStream === true) return response.body
      bytes = Buffer.from(await response.arrayBuffer())
    } catch (error) {
      throw new Unreachable(`${base} cannot be reached: ${reasonOf(error)}`, { cause: error })
    }
    if (response.ok && call.isFile === true) return bytes
    const value = parse(new TextDecoder().decode(bytes))
    if (!response.ok) throw new ApiProblem(toProblem(response, value))
    return value
  }
}

function parse(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function toProblem(response: Response, value: unknown): Problem {
  const isDocument = typeof value === 'object' && value !== null && 'title' in value
  if (isDocument) return { ...(value as Problem), status: response.status }
  return {
    status: response.status,
    title: response.statusText === '' ? 'The call failed' : response.statusText,
  }
}

/** fetch hides what happened in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error && error.cause.message !== '' ? error.cause.message : error.message
}

import { asRecord, MalformedValue } from './answer-values.ts'
import {
  readAccount,
  readAssignment,
  readDetails,
  readNamedAssignment,
  readPage,
  readProfileUuid,
  readResults,
} from './answers.ts'
import { AdeError, errorOf } from './error.ts'
import { createSession, type SessionOptions, type SessionRequest } from './session.ts'

/** The most serial numbers that Apple takes in one call. */
const MOST_SERIALS = 1000

/** An ADE profile as Apple takes it; its keys are Apple's. */
type AdeProfile = Readonly<Record<string, unknown>>

/** Options that every call takes. */
interface CallOptions {
  readonly signal?: AbortSignal
}

/**
 * Apple's web service for automated enrollment, one call of it for each method; rejects with AdeError. A session is opened
 * when needed and, when it ended, once more for each call; nothing else is tried again here. More than 1,000 serial numbers
 * in a call are a RangeError.
 */
export type AdeClient = ReturnType<typeof createAdeClient>

/** Makes a client for one server token. `http` bounds time and size of the answers. */
export function createAdeClient(options: SessionOptions) {
  const call = createCaller(options)
  const assign = createAssign(call)
  const post = <T>(path: string, body: object, more: CallOptions | undefined, read: (value: unknown) => T) =>
    call({ method: 'POST', path, body, ...more }, read)
  return {
    account: (more?: CallOptions) => call({ method: 'GET', path: '/account', ...more }, readAccount),
    /** Devices from the beginning, or from a cursor. */
    fetchDevices: ({ cursor, limit }: { cursor?: string; limit: number }, more?: CallOptions) =>
      post('/server/devices', { limit, ...(cursor && { cursor }) }, more, (value) =>
        readPage(value, { isFetch: true }),
      ),
    /** Changes since a cursor. */
    syncDevices: ({ cursor, limit }: { cursor: string; limit: number }, more?: CallOptions) =>
      post('/devices/sync', { cursor, limit }, more, (value) => readPage(value, { isFetch: false })),
    deviceDetails: async (serials: readonly string[], more?: CallOptions) =>
      post('/devices', { devices: atMost(serials) }, more, readDetails),
    /** Makes a profile, which no call can change or delete afterwards, and assigns it to the `devices` in it. */
    defineProfile: (profile: AdeProfile, more?: CallOptions) =>
      post('/profile', profile, more, (value) => ({
        profileUuid: readProfileUuid(value),
        ...readNamedAssignment(value),
      })),
    getProfile(profileUuid: string, more?: CallOptions) {
      const path = `/profile?profile_uuid=${encodeURIComponent(profileUuid)}`
      return call({ method: 'GET', path, namesProfile: true, ...more }, (value) => ({
        profileUuid: readProfileUuid(value),
        profile: (asRecord(value) ?? {}) as AdeProfile,
      }))
    },
    assignProfile: assign,
    async removeProfile(serials: readonly string[], more?: CallOptions) {
      const body = { devices: atMost(serials) }
      return call({ method: 'DELETE', path: '/profile/devices', body, ...more }, (value) =>
        readResults(value, serials),
      )
    },
    /** Releases devices from the organisation, for good. */
    disown: async (serials: readonly string[], more?: CallOptions) =>
      post('/devices/disown', { devices: atMost(serials) }, more, (value) => readResults(value, serials)),
  }
}

type Call = <T>(
  request: SessionRequest & { readonly namesProfile?: boolean },
  read: (value: unknown) => T,
) => Promise<T>

function createCaller(options: SessionOptions): Call {
  const session = createSession(options)
  return async ({ namesProfile = false, ...request }, read) => {
    const name = `${request.method} ${request.path.replace(/\?.*/, '')}`
    const answer = await session.send(request)
    if (answer.status < 200 || answer.status > 299) {
      throw errorOf(answer, { call: name, profile: namesProfile, now: options.clock.now() })
    }
    try {
      return read(parse(answer.body))
    } catch (error) {
      if (!(error instanceof MalformedValue)) throw error
      throw new AdeError('malformed_answer', `${name}: Apple's answer cannot be used: ${error.message}.`, {
        status: answer.status,
      })
    }
  }
}

/** Apple documents POST; its simulator and older servers take PUT alone, and say so with 405. */
function createAssign(call: Call) {
  let method: 'POST' | 'PUT' = 'POST'
  return async (profileUuid: string, serials: readonly string[], more?: CallOptions) => {
    const body = { profile_uuid: profileUuid, devices: atMost(serials) }
    const used = method
    const attempt = (as: 'POST' | 'PUT') =>
      call({ method: as, path: '/profile/devices', body, namesProfile: true, ...more }, (value) =>
        readAssignment(value, serials),
      )
    try {
      return await attempt(used)
    } catch (error) {
      if (!(error instanceof AdeError && error.status === 405 && used === 'POST')) throw error
      method = 'PUT'
      return attempt('PUT')
    }
  }
}

function parse(body: Buffer): unknown {
  const text = body.toString('utf8').replace(/^\uFEFF/, '')
  try {
    return JSON.parse(text)
  } catch {
    throw new MalformedValue(text.trimStart().startsWith('<') ? 'it is a web page' : 'it is not valid JSON')
  }
}

function atMost(serials: readonly string[]): readonly string[] {
  if (serials.length <= MOST_SERIALS) return serials
  throw new RangeError(`${serials.length} serial numbers in one call, at most ${MOST_SERIALS} are allowed`)
}

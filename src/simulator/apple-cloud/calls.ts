import { randomUUID } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { refused } from './answers.ts'
import type { AdeAnswer } from './answers.ts'
import type { AppleDevice, AppleServer, Organization } from './organization.ts'
import { MAX_LIMIT } from './paging.ts'
import { profileOddities, profileProblem } from './profile-rules.ts'
import { deviceRecord } from './records.ts'
import type { AdeCall, ReportAdeViolation } from './watch.ts'

/** What Apple says of one serial number. */
export type SerialResult = 'SUCCESS' | 'NOT_ACCESSIBLE' | 'FAILED' | 'THROTTLED'

/** A call with the server whose session it is. */
export interface CallContext {
  readonly server: AppleServer
  readonly version: number
  readonly query: URLSearchParams
  readonly body: Readonly<Record<string, unknown>>
  readonly call: AdeCall
}

/** The calls about devices and profiles. */
export interface AdeCalls {
  details(context: CallContext): AdeAnswer
  disown(context: CallContext): AdeAnswer
  define(context: CallContext): AdeAnswer
  read(context: CallContext): AdeAnswer
  assign(context: CallContext): AdeAnswer
  unassign(context: CallContext): AdeAnswer
  /** The answer to that call never arrived, so doing it again is right. */
  unsure(call: AdeCall): void
  /** What the next assignments of a serial number come to. */
  scriptSerial(serialNumber: string, results: readonly SerialResult[]): void
  throttleSeconds: number
}

const SINCE_THROTTLED = 9
const SINCE_RETRY_AFTER = 10

/** The calls of an organisation. */
export function createAdeCalls(deps: {
  organization: Organization
  clock: Clock
  report: ReportAdeViolation
}): AdeCalls {
  const { organization, clock, report } = deps
  const scripts = new Map<string, SerialResult[]>()
  const notBefore = new Map<string, number>()
  /** Serial numbers and profiles (as JSON) whose last change may be unknown to the client. */
  const unsure = new Set<string>()

  /** The serial numbers of a call; the reason why it is refused otherwise. */
  function serialsOf({ body, call }: CallContext): string[] | AdeAnswer {
    const list = body['devices']
    if (!Array.isArray(list) || list.length === 0) {
      report('body_invalid', `${call.method} ${call.path} without devices`)
      return refused(400, 'DEVICE_ID_REQUIRED')
    }
    const serials = list.map(String)
    call.serialNumbers = serials
    const what = `${serials.length} serial numbers in ${call.method} ${call.path}`
    if (serials.length > MAX_LIMIT) report('too_many_serials', what)
    if (new Set(serials).size < serials.length) report('serial_twice', what)
    return serials
  }

  /** Does something with each of the server's devices. */
  function each(context: CallContext, act: (device: AppleDevice) => SerialResult): AdeAnswer {
    const serials = serialsOf(context)
    if (!Array.isArray(serials)) return serials
    const results = serials.map((serial): [string, SerialResult] => {
      const device = organization.devices.get(serial)
      return [serial, device?.server === context.server ? act(device) : 'NOT_ACCESSIBLE']
    })
    return { status: 200, json: { devices: Object.fromEntries(results) } }
  }

  function checkPause(serial: string): void {
    const left = (notBefore.get(serial) ?? 0) - clock.now().getTime()
    if (left > 0) report('called_too_early', `${serial}: ${left} ms before retry_after_seconds has passed`)
    notBefore.delete(serial)
  }

  function assignOne(device: AppleDevice, uuid: string, version: number): SerialResult {
    const serial = device.facts.serialNumber
    checkPause(serial)
    const scripted = scripts.get(serial)?.shift() ?? 'SUCCESS'
    if (scripted === 'THROTTLED') notBefore.set(serial, clock.now().getTime() + calls.throttleSeconds * 1_000)
    if (scripted !== 'SUCCESS')
      return version < SINCE_THROTTLED && scripted === 'THROTTLED' ? 'FAILED' : scripted
    const isRepeated = device.profileUuid === uuid
    if (isRepeated && !unsure.has(serial)) report('assignment_repeated', `${serial} has ${uuid} already`)
    unsure.delete(serial)
    if (!isRepeated) organization.setProfile(device, uuid)
    return 'SUCCESS'
  }

  function unassignOne(device: AppleDevice): SerialResult {
    const serial = device.facts.serialNumber
    const isRepeated = device.profileUuid === undefined
    if (isRepeated && !unsure.has(serial)) report('assignment_repeated', `${serial} has no profile to remove`)
    unsure.delete(serial)
    if (!isRepeated) organization.setProfile(device, undefined)
    return 'SUCCESS'
  }

  function profileOf(uuid: unknown, server: AppleServer) {
    const found = typeof uuid === 'string' ? organization.profiles.get(plainUuid(uuid)) : undefined
    return found?.server === server ? found : undefined
  }

  function define(context: CallContext): AdeAnswer {
    const { server, body, call } = context
    const { devices = [], ...content } = body
    const problem = profileProblem(body)
    if (problem !== undefined) {
      report('profile_invalid', problem)
      return refused(400, problem)
    }
    for (const oddity of profileOddities(body)) report('profile_invalid', oddity)
    const text = canonical(content)
    const isKnown = (profile: { server: AppleServer; content: object }) =>
      profile.server === server && canonical(profile.content) === text
    const isRepeated = [...organization.profiles.values()].some(isKnown)
    if (isRepeated && !unsure.delete(text))
      report('profile_repeated', `${server.name}: ${String(content['profile_name'])}`)
    const uuid = plainUuid(randomUUID())
    organization.profiles.set(uuid, { uuid, server, content })
    call.profileUuid = uuid
    if (Array.isArray(devices) && devices.length === 0)
      return { status: 200, json: { profile_uuid: uuid, devices: {} } }
    const answer = each(context, (device) => assignOne(device, uuid, context.version))
    return withUuid(answer, uuid, context)
  }

  function assign(context: CallContext): AdeAnswer {
    const { body, server, version, call } = context
    const wanted = body['profile_uuid']
    if (typeof wanted !== 'string' || wanted === '') return refused(400, 'PROFILE_UUID_REQUIRED')
    const profile = profileOf(wanted, server)
    call.profileUuid = plainUuid(wanted)
    if (profile === undefined) {
      report('profile_unknown', `${wanted} is no profile of ${server.name}`)
      return refused(404, 'PROFILE_NOT_FOUND')
    }
    const answer = each(context, (device) => assignOne(device, profile.uuid, version))
    return withUuid(answer, profile.uuid, context)
  }

  function withUuid(answer: AdeAnswer, uuid: string, { version }: CallContext): AdeAnswer {
    if (!('json' in answer)) return answer
    const isThrottled = Object.values(answer.json['devices'] as object).includes('THROTTLED')
    const hint = isThrottled && version >= SINCE_RETRY_AFTER
    const wait = hint ? { retry_after_seconds: calls.throttleSeconds } : {}
    return { status: 200, json: { profile_uuid: uuid, ...answer.json, ...wait } }
  }

  function read({ query, server }: CallContext): AdeAnswer {
    const uuid = query.get('profile_uuid') ?? ''
    if (uuid === '') return refused(400, 'PROFILE_UUID_REQUIRED')
    const profile = profileOf(uuid, server)
    if (profile === undefined) return refused(404, 'NOT_FOUND')
    return { status: 200, json: { ...profile.content, profile_uuid: profile.uuid } }
  }

  function details(context: CallContext): AdeAnswer {
    const { server, version } = context
    const serials = serialsOf(context)
    if (!Array.isArray(serials)) return serials
    const records = serials.map((serial) => {
      const device = organization.devices.get(serial)
      if (device?.server !== server) return [serial, { response_status: 'NOT_ACCESSIBLE' }]
      return [serial, { ...deviceRecord(device, version), response_status: 'SUCCESS' }]
    })
    return { status: 200, json: { devices: Object.fromEntries(records) as Record<string, unknown> } }
  }

  const calls: AdeCalls = {
    details,
    define,
    read,
    assign,
    throttleSeconds: 60,
    disown: (context) =>
      each(context, ({ facts }) => {
        organization.remove(facts.serialNumber)
        return 'SUCCESS'
      }),
    unassign: (context) => each(context, unassignOne),
    unsure(call) {
      for (const serial of call.serialNumbers) unsure.add(serial)
      const profile = call.path === '/profile' ? organization.profiles.get(call.profileUuid ?? '') : undefined
      if (profile !== undefined) unsure.add(canonical(profile.content))
    },
    scriptSerial: (serial, results) => void scripts.set(serial, [...results]),
  }
  return calls
}

/** 32 hex digits in lower case. */
function plainUuid(uuid: string): string {
  return uuid.replaceAll('-', '').toLowerCase()
}

/** The same text for the same content, whatever the order of its keys. */
function canonical(content: object): string {
  return JSON.stringify(Object.entries(content).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

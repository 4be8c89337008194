import { randomUUID } from 'node:crypto'
import { refused, type AdeAnswer } from './answers.ts'
import type { Assignments } from './assignments.ts'
import type { AppleDevice, AppleServer, Organization } from './organization.ts'
import { MAX_LIMIT } from './paging.ts'
import { profileOddities, profileProblem } from './profile-rules.ts'
import { deviceRecord } from './records.ts'
import type { AdeCall, ReportAdeViolation } from './watch.ts'

/** A call with the server whose session it is. */
export interface CallContext {
  readonly server: AppleServer
  readonly version: number
  readonly query: URLSearchParams
  readonly body: Readonly<Record<string, unknown>>
  readonly call: AdeCall
}

/** The calls about devices and profiles. */
export type AdeCalls = ReturnType<typeof createAdeCalls>

const SINCE_RETRY_AFTER = 10

/** The calls of an organisation. */
export function createAdeCalls(deps: {
  organization: Organization
  assignments: Assignments
  report: ReportAdeViolation
}) {
  const { organization, assignments, report } = deps
  /** Profiles (as JSON) of which the client may not know. */
  const unsure = new Set<string>()

  /** What is said of each serial number: by `act` of the server's devices, `stranger` of all others. */
  function each(
    context: CallContext,
    act: (device: AppleDevice) => unknown,
    stranger: unknown = 'NOT_ACCESSIBLE',
  ): AdeAnswer {
    const serials = serialsOf(context, report)
    if (!Array.isArray(serials)) return serials
    const results = serials.map((serial) => {
      const device = organization.devices.get(serial)
      return [serial, device?.server === context.server ? act(device) : stranger]
    })
    return { status: 200, json: { devices: Object.fromEntries(results) as Record<string, unknown> } }
  }

  /** Assigns a profile to the devices of a call. */
  function give(context: CallContext, uuid: string): AdeAnswer {
    const answer = each(context, (device) => assignments.assign(device, uuid, context.version))
    if (!('json' in answer)) return answer
    const isThrottled = Object.values(answer.json['devices'] as object).includes('THROTTLED')
    const hint = isThrottled && context.version >= SINCE_RETRY_AFTER
    const wait = hint ? { retry_after_seconds: assignments.throttleSeconds } : {}
    return { status: 200, json: { profile_uuid: uuid, ...answer.json, ...wait } }
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
    const isRepeated = [...organization.profiles.values()].some(
      (known) => known.server === server && canonical(known.content) === text,
    )
    if (isRepeated && !unsure.delete(text))
      report('profile_repeated', `${server.name}: ${String(content['profile_name'])}`)
    const uuid = plainUuid(randomUUID())
    organization.profiles.set(uuid, { uuid, server, content })
    call.profileUuid = uuid
    const isForNone = Array.isArray(devices) && devices.length === 0
    return isForNone ? { status: 200, json: { profile_uuid: uuid, devices: {} } } : give(context, uuid)
  }

  function assign(context: CallContext): AdeAnswer {
    const { body, server, call } = context
    const wanted = body['profile_uuid']
    if (typeof wanted !== 'string' || wanted === '') return refused(400, 'PROFILE_UUID_REQUIRED')
    const profile = profileOf(wanted, server, organization)
    call.profileUuid = plainUuid(wanted)
    if (profile === undefined) {
      report('profile_unknown', `${wanted} is no profile of ${server.name}`)
      return refused(404, 'PROFILE_NOT_FOUND')
    }
    return give(context, profile.uuid)
  }

  function read({ query, server }: CallContext): AdeAnswer {
    const uuid = query.get('profile_uuid') ?? ''
    if (uuid === '') return refused(400, 'PROFILE_UUID_REQUIRED')
    const profile = profileOf(uuid, server, organization)
    if (profile === undefined) return refused(404, 'NOT_FOUND')
    return { status: 200, json: { ...profile.content, profile_uuid: profile.uuid } }
  }

  return {
    details: (context: CallContext) =>
      each(context, (device) => ({ ...deviceRecord(device, context.version), response_status: 'SUCCESS' }), {
        response_status: 'NOT_ACCESSIBLE',
      }),
    define,
    read,
    assign,
    disown: (context: CallContext) =>
      each(context, ({ facts }) => {
        organization.remove(facts.serialNumber)
        return 'SUCCESS'
      }),
    unassign: (context: CallContext) => each(context, assignments.unassign),
    /** The answer to that call never arrived, so doing it again is right. */
    unsure(call: AdeCall) {
      for (const serial of call.serialNumbers) assignments.unsure(serial)
      const profile = call.path === '/profile' ? organization.profiles.get(call.profileUuid ?? '') : undefined
      if (profile !== undefined) unsure.add(canonical(profile.content))
    },
  }
}

/** The serial numbers of a call; the reason why it is refused otherwise. */
function serialsOf({ body, call }: CallContext, report: ReportAdeViolation): string[] | AdeAnswer {
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

function profileOf(uuid: string, server: AppleServer, { profiles }: Organization) {
  const found = profiles.get(plainUuid(uuid))
  return found?.server === server ? found : undefined
}

/** 32 hex digits in lower case. */
function plainUuid(uuid: string): string {
  return uuid.replaceAll('-', '').toLowerCase()
}

/** The same text for the same content, whatever the order of its keys. */
function canonical(content: object): string {
  return JSON.stringify(Object.entries(content).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

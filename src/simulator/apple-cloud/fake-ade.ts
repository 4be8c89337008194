import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { systemClock, type Clock } from '../../kernel/clock.ts'
import { createAssignments, type SerialResult } from './assignments.ts'
import { createCallScript, type ScriptedCall } from './call-script.ts'
import { createAdeCalls } from './calls.ts'
import { createOrganization, type ActivationProfile } from './organization.ts'
import { createPaging } from './paging.ts'
import { answerPortal, type PowerOn } from './portal-http.ts'
import { listen, stop, type Place } from '../serving.ts'
import { createAdePortal } from './portal.ts'
import { createRequestHandler } from './request-handler.ts'
import { createAdeSessions } from './sessions.ts'
import { createAdeWatch } from './watch.ts'

/** A strict fake of Apple's web service for automated enrollment, with the portal of one organisation. */
export type FakeAde = Awaited<ReturnType<typeof startFakeAde>>

/** Options of the fake. `powerOn`: phones that can be powered on over HTTP. */
interface FakeAdeOptions extends Place {
  clock?: Clock
  organization?: string
  powerOn?: PowerOn
}

const PORTAL = '/portal'

/** Starts the fake cloud over plain http, with an organisation that has no server and no device yet. */
export async function startFakeAde(options: FakeAdeOptions = {}) {
  const { clock = systemClock } = options
  const organization = createOrganization(options.organization ?? 'Example AG', clock)
  const watch = createAdeWatch(clock)
  const { report } = watch
  const script = createCallScript()
  const assignments = createAssignments({ organization, clock, report })
  const calls = createAdeCalls({ organization, assignments, report })
  const sessions = createAdeSessions({ organization, clock, report })
  const paging = createPaging(clock)
  const portal = createAdePortal(organization)
  const handler = createRequestHandler({ organization, clock, watch, script, calls, sessions, paging })
  const server = createServer((request, response) => void receive(request, response))
  const url = `http://${await listen(server, options)}`

  async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request).catch(() => undefined)
    if (body === undefined) return
    const { pathname, searchParams: query } = new URL(request.url!, url)
    if (!pathname.startsWith(PORTAL)) return handler.serve({ request, response, body, base: url })
    const path = pathname.slice(PORTAL.length)
    const doors = { portal, activate, powerOn: options.powerOn }
    const answer = await answerPortal({ method: request.method!, path, query, body }, doors)
    response.statusCode = answer.status
    response.setHeader('content-type', answer.type).end(answer.body)
  }

  /** Activation of a device, as at every power-on after an erase: its profile, which counts as pushed from then on. */
  function activate(serialNumber: string): ActivationProfile | undefined {
    const device = organization.devices.get(serialNumber)
    const profile = organization.profiles.get(device?.profileUuid ?? '')
    if (device === undefined || profile === undefined) return undefined
    organization.markPushed(device)
    return { uuid: profile.uuid, organization: organization.name, content: profile.content }
  }

  return {
    /** What FIRSTBOOT_ADE_URL would say. */
    url,
    portal,
    activate,
    /** All calls, oldest first, GET /session among them. */
    calls: watch.calls,
    /** What clients did against the rules; empty for good ones. */
    violations: watch.violations,
    counts: watch.counts,
    /** Sends the answers that were held. */
    release: handler.release,
    /** How many answers are held. */
    held: handler.held,
    writeErrors: handler.writeErrors,
    assignByPutOnly: handler.assignByPutOnly,
    /** All sessions are over, as after a restart of Apple's service. */
    loseSessions: sessions.loseAll,
    /** Answers everything so, until it is called with null. */
    answerAll: script.all,
    forgetCursors: paging.forget,
    /** Apple's record of a device. */
    device: organization.device,
    /** A client was killed: the last change that each server made may be repeated without blame. */
    clientDied() {
      const changes = watch.calls.filter(({ path }) => path === '/profile' || path === '/profile/devices')
      for (const call of new Map(changes.map((each) => [each.server, each])).values()) calls.unsure(call)
    },
    /** Answers the next calls to a path (`/devices/sync`), or to any (`*`), in this order. */
    script: (path: string, ...answers: ScriptedCall[]) => script.add(path, answers),
    /** What the next assignments of a profile to a serial number come to. */
    scriptSerial: (serial: string, ...results: SerialResult[]) => assignments.script(serial, results),
    /** What `retry_after_seconds` says (60 at first). */
    throttleFor: (seconds: number) => void (assignments.throttleSeconds = seconds),
    /** A profile by its UUID. */
    profile: (uuid: string) => organization.profiles.get(uuid.replaceAll('-', '').toLowerCase())?.content,
    close: () => stop(server),
  }
}

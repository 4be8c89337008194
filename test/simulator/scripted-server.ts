import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createKeyUnwrapper, createSignatureVerifier, signData } from '../../src/protocol/cms/index.ts'
import { buildEnrollmentProfile } from '../../src/protocol/mobileconfig/index.ts'
import type { EnrollmentProfile } from '../../src/protocol/mobileconfig/index.ts'
import { isDict, parsePlist, writePlist } from '../../src/protocol/plist/index.ts'
import type { PlistDict, WritablePlist } from '../../src/protocol/plist/index.ts'
import {
  buildFailure,
  buildSuccess,
  caCapabilities,
  caCertificates,
  openRequest,
  parsePkiMessage,
} from '../../src/protocol/scep/index.ts'
import { issueCertificate, validity } from '../../src/protocol/x509/index.ts'
import type { Identity } from '../../src/protocol/x509/index.ts'
import { testCa } from '../support/identities.ts'

/** An answer of the scripted server; what is left out is a good one. */
export interface ScriptedReply {
  status?: number
  type?: string
  body?: string | Uint8Array
  /** The connection is cut instead. */
  cut?: true
  /** Sent as it is, as the whole HTTP answer. */
  raw?: string
}

/** A message as it came, with the fingerprint of who signed it. */
export interface SeenMessage {
  path: string
  message: PlistDict
  signer: string
}

/** A small MDM server that answers as its script says; SCEP and the profile are real. */
export interface ScriptedServer {
  url: string
  ca: Identity
  seen: SeenMessage[]
  /** Answers the next check-in messages of that type, or Idle and results of commands by that status. */
  script: Map<string, ScriptedReply[]>
  /** Commands given out in order, one at each poll or result; then the empty answer. */
  queue: WritablePlist[]
  /** Changes to the enrollment profile, and to how it is served. */
  profile: Partial<EnrollmentProfile>
  profileReply: ScriptedReply
  scep: { refuse?: boolean; capabilities?: string; type?: string }
  scepMethods: string[]
  signedProfile(changes?: Partial<EnrollmentProfile>): Promise<Buffer>
  close(): Promise<void>
}

/** The topic of its profile. */
export const TOPIC = 'com.apple.mgmt.External.11111111-2222-3333-4444-555555555555'

const verify = createSignatureVerifier({ cacheSize: 10 })

/** Starts it on a free port. */
export async function startScriptedServer(): Promise<ScriptedServer> {
  const ca = await testCa()
  const unwrapper = createKeyUnwrapper({ threads: 1 })
  const server = createServer((request, response) => void handle(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const world: ScriptedServer = {
    ...{ url, ca, seen: [], script: new Map(), queue: [], profile: {}, profileReply: {}, scep: {} },
    scepMethods: [],
    signedProfile: (changes) => signData({ content: build(changes), signer: ca }),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await unwrapper.close()
    },
  }

  function build(changes: Partial<EnrollmentProfile> = {}): Buffer {
    return buildEnrollmentProfile({
      ...{ identifier: 'ch.example.mdm', displayName: 'Example MDM', organization: 'Example AG' },
      scep: { url: `${url}/scep`, challenge: 'open sesame', subject: [[['CN', 'enrollment 1']]] },
      mdm: {
        topic: TOPIC,
        serverUrl: `${url}/connect`,
        checkInUrl: `${url}/checkin`,
        serverCapabilities: [],
      },
      ...world.profile,
      ...changes,
    })
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await read(request)
    const { pathname, searchParams } = new URL(request.url ?? '', url)
    if (pathname === '/scep') return answerScep(request, response, searchParams, body)
    if (pathname === '/profile') {
      const type = 'application/x-apple-aspen-config'
      return send(response, { type, body: await world.signedProfile(), ...world.profileReply })
    }
    const message = parsePlist(body)
    if (!isDict(message)) return send(response, { status: 400 })
    const signature = Buffer.from(String(request.headers['mdm-signature']), 'base64')
    const { signer } = verify(signature, { detached: { content: body }, attributes: 'optional' })
    world.seen.push({ path: pathname, message, signer: signer.fingerprint })
    const scripted = world.script.get((message['MessageType'] ?? message['Status']) as string)?.shift()
    if (scripted !== undefined) return send(response, scripted)
    const next = pathname === '/connect' ? world.queue.shift() : undefined
    return send(response, next === undefined ? {} : { type: 'application/xml', body: writePlist(next) })
  }

  async function answerScep(
    request: IncomingMessage,
    response: ServerResponse,
    query: URLSearchParams,
    body: Buffer,
  ): Promise<void> {
    const operation = query.get('operation')
    const { capabilities = caCapabilities({ sha1: false }), type = 'application/x-pki-message' } = world.scep
    if (operation === 'GetCACaps') return send(response, { type: 'text/plain', body: capabilities })
    if (operation === 'GetCACert') {
      const { contentType, body: der } = caCertificates([ca.certificate])
      return send(response, { type: contentType, body: der })
    }
    world.scepMethods.push(request.method ?? '')
    const given = request.method === 'POST' ? body : Buffer.from(query.get('message') ?? '', 'base64')
    const message = parsePkiMessage(given)
    const { csr, cipher } = await openRequest(message, { identity: ca, unwrap: unwrapper.unwrap })
    const common = { request: message, signer: ca, now: new Date() }
    if (world.scep.refuse === true || csr.challengePassword !== 'open sesame' || !csr.verify()) {
      return send(response, { type, body: await buildFailure({ ...common, failInfo: 'badRequest' }) })
    }
    const subject = [['CN', `device ${world.scepMethods.length}`]] as const
    const times = validity(new Date(), 30)
    const issued = await issueCertificate({ issuer: ca, spki: csr.spki, subject, ...times })
    return send(response, { type, body: await buildSuccess({ ...common, issued, cipher }) })
  }

  return world
}

function send(response: ServerResponse, reply: ScriptedReply): void {
  if (reply.cut === true) return void response.socket?.destroy()
  if (reply.raw !== undefined) return void response.socket?.end(reply.raw)
  response.statusCode = reply.status ?? 200
  if (reply.type !== undefined) response.setHeader('content-type', reply.type)
  response.end(reply.body)
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

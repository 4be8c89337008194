import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { AppError, type ErrorCode } from '../../kernel/errors.ts'
import {
  isCheckinBody,
  looksLikeCheckin,
  type MessageReader,
  type ReadResult,
  UnreadableMessage,
} from '../../protocol/mdm/index.ts'
import type { DeviceIdentity } from '../device-identity/index.ts'
import type { Refused } from '../enrollment/index.ts'
import type { DeviceMessages, Events } from '../events/index.ts'
import type { createCheckin } from './checkin.ts'
import type { createConnect } from './connect.ts'
import { unidentified } from './unidentified.ts'

const PLIST = 'application/xml; charset=utf-8'
/** The one document by which a device learns that it is not enrolled here any more (Apple, MDM error codes). */
const UNRECOGNIZED = JSON.stringify({
  code: 'com.apple.unrecognized.device',
  description: 'This device is not enrolled here any more.',
})

/** What is said of a body in which Status, CommandUUID or the sender cannot be read. */
const UNREADABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['plist_invalid', 'message_invalid'])

/** Whose certificate of ours a request was made with. */
type Caller = { fingerprint: Buffer }

/** What the endpoints are made of. */
interface MdmEndpointsDeps {
  events: Events
  deviceMessages: Pick<DeviceMessages, 'isWanted' | 'record'>
  identity: DeviceIdentity
  reader: MessageReader
  checkin: ReturnType<typeof createCheckin>
  connect: ReturnType<typeof createConnect>
}

/** `/mdm` and `/checkin` are those of devices that NanoMDM enrolled. */
const ADDRESSES = ['/mdm', '/mdm/checkin', '/mdm/connect', '/checkin']

/**
 * PUT at each of `ADDRESSES`. All take both message kinds, told apart by content type and, where that says nothing, by the
 * message itself. No answer here is ever a 401.
 */
export function mdmRoutes(deps: MdmEndpointsDeps): FastifyPluginAsync {
  const handle = createHandler(deps)
  return async (app) => {
    for (const url of ADDRESSES) app.put(url, { config: { largeBodies: true } }, handle)
  }
}

function createHandler(deps: MdmEndpointsDeps) {
  const { reader, checkin, connect, deviceMessages } = deps

  async function onCheckin(request: FastifyRequest, reply: FastifyReply, given: Buffer, caller: Caller) {
    const read = await reader.readCheckin(given, laneOf(caller))
    const body = read.returned ?? given
    const answer = await checkin(read, { ...caller, raw: body, digest: read.sha256, requestId: request.id })
    if ('unrecognized' in answer) return refuse(request, reply, answer, read.message.identity.id)
    const { messageType: kind, identity } = read.message
    if (deviceMessages.isWanted()) await deviceMessages.record({ kind, identity, body })
    return answer.body === null
      ? reply.code(answer.status).send()
      : reply
          .code(answer.status)
          .type(answer.type ?? PLIST)
          .send(answer.body)
  }

  async function onConnect(request: FastifyRequest, reply: FastifyReply, given: Buffer, caller: Caller) {
    const read = await readResult(request, given, caller)
    const answer = await connect.connect(read, { ...caller, requestId: request.id })
    if ('reason' in answer) return refuse(request, reply, answer, read.identity.id)
    if (deviceMessages.isWanted())
      await deviceMessages.record({ ...read, kind: 'Connect', body: read.returned ?? given })
    return answer.body === null ? reply.code(200).send() : reply.code(200).type(PLIST).send(answer.body)
  }

  async function readResult(request: FastifyRequest, given: Buffer, caller: Caller): Promise<ReadResult> {
    try {
      return await reader.readResult(given, laneOf(caller))
    } catch (error) {
      if (error instanceof AppError && UNREADABLE.has(error.code)) {
        const body = error instanceof UnreadableMessage ? error.body : given
        await connect.unreadable(body, error.message, { ...caller, requestId: request.id })
      }
      throw error
    }
  }

  function refuse(request: FastifyRequest, reply: FastifyReply, refusal: Refused, enrollmentId?: string) {
    deps.events.announce({
      type: 'message.refused',
      reason: refusal.reason,
      request_id: request.id,
      ...(enrollmentId !== undefined && { enrollment_id: enrollmentId }),
    })
    if (refusal.unrecognized) return reply.code(403).type('application/json').send(UNRECOGNIZED)
    return reply.code(refusal.status).send()
  }

  return async (request: FastifyRequest, reply: FastifyReply) => {
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
    // Before anything of the body is read: nobody who is none of ours makes the parser work.
    const caller = await deps.identity.identifyCaller(request.credentials, body, request.proof)
    if ('problem' in caller) return refuse(request, reply, unidentified(caller.problem))
    const type = request.headers['content-type']
    if (looksLikeCheckin(type)) return onCheckin(request, reply, body, caller)
    const saysCommand = type?.startsWith('application/x-apple-aspen-mdm') ?? false
    return !saysCommand && isCheckinBody(body)
      ? onCheckin(request, reply, body, caller)
      : onConnect(request, reply, body, caller)
  }
}

/** Large messages of one certificate are read one after the other, by turns with those of others. */
function laneOf({ fingerprint }: Caller): string {
  return fingerprint.toString('base64')
}

import { isDict, parsePlist, type PlistDict } from '../../protocol/plist/index.ts'
import type { ReportViolation } from '../wire/violations.ts'
import type { CheckInMessage } from './check-in-messages.ts'
import type { Contact, Reply } from './contact.ts'

/** What a check-in message came to. `answer`: the property list of the messages that get one. */
export type CheckInAnswer =
  { kind: 'ok'; answer: PlistDict | undefined; json: string | undefined } | Exclude<Reply, { kind: 'ok' }>

/** Messages that are answered with nothing. */
const SILENT: ReadonlySet<unknown> = new Set(['Authenticate', 'TokenUpdate', 'CheckOut', 'SetBootstrapToken'])

/** Refusals that the protocol foresees, by message; any other 4xx to a good message is reported. */
const FORESEEN_REFUSALS: Readonly<Record<string, readonly number[]>> = {
  UserAuthenticate: [410],
  GetToken: [400],
  DeclarativeManagement: [404],
  ReturnToService: [400, 404],
}

/** Sends a check-in message and judges the answer by what its kind may be answered with. */
export async function sendCheckIn(
  contact: Contact,
  message: CheckInMessage,
  report: ReportViolation,
): Promise<CheckInAnswer> {
  const type = message.MessageType
  const reply = await contact.checkIn(message)
  if (reply.kind === 'refused' && !(FORESEEN_REFUSALS[type] ?? []).includes(reply.status)) {
    report('unexpected_status', `${type}: ${reply.status}`)
  }
  if (reply.kind !== 'ok') return reply
  if (reply.body.length === 0) return { kind: 'ok', answer: undefined, json: undefined }
  if (SILENT.has(type)) {
    report('body_not_empty', type)
    return { kind: 'ok', answer: undefined, json: undefined }
  }
  if (type === 'DeclarativeManagement') return { kind: 'ok', answer: undefined, json: reply.body.toString() }
  return { kind: 'ok', answer: readAnswer(type, reply.body, report), json: undefined }
}

function readAnswer(type: string, body: Buffer, report: ReportViolation): PlistDict | undefined {
  try {
    const answer = parsePlist(body)
    if (isDict(answer)) return answer
    report('invalid_body', `${type}: the answer is no dictionary`)
  } catch (error) {
    report('invalid_body', `${type}: ${(error as Error).message}`)
  }
  return undefined
}

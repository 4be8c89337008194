import { isDict, parsePlist, type PlistDict, type PlistValue } from '../../protocol/plist/index.ts'
import type { ReportViolation } from '../wire/violations.ts'
import type { Answer } from './commands/answers.ts'
import { fitsChannel, type ChannelKind } from './commands/channel-kinds.ts'
import type { Command, Decision } from './commands/decider.ts'
import type { CommandResult, Ledger } from './commands/ledger.ts'
import type { Contact, Reply } from './contact.ts'

/** How a session went. */
export interface SessionReport {
  /** `idle`: the server had nothing more; `later`, `refused`, `unmanaged`: its answer (see Reply). */
  end: 'idle' | 'later' | 'refused' | 'unmanaged' | NonNullable<Decision['ends']>
  /** Results that the server acknowledged, by status. */
  results: Record<Answer['status'], number>
  /** NotNow was the last thing said, so the device will poll by itself. */
  pollsAgain: boolean
}

const MAX_COMMANDS = 10_000
const COMMAND_TYPES = ['application/xml', 'application/x-apple-aspen-mdm', 'text/xml']

/** When a connection is cut: the server never gets the result, or the device never gets the answer to it. */
export type Loss = 'before' | 'after'

/** What a session needs of its channel. */
interface SessionDeps {
  contact: Contact
  kind: ChannelKind
  ids: PlistDict
  ledger: Ledger
  decide: (command: Command) => Promise<Decision>
  /** Whether the connection is cut before or after the result of that command. */
  lose: (command: Command) => Loss | undefined
  report: ReportViolation
}

/** One session of polling: Idle, then a result for each command, until the server has nothing more. */
export async function runSession(deps: SessionDeps): Promise<SessionReport> {
  const { contact, ids, ledger, report } = deps
  const outcome: SessionReport = {
    end: 'idle',
    results: { Acknowledged: 0, Error: 0, CommandFormatError: 0, NotNow: 0 },
    pollsAgain: false,
  }
  const notNow = new Set<string>()
  let message: PlistDict = { ...ids, Status: 'Idle' }
  let pending: CommandResult | undefined
  let decision: Decision | undefined
  let command: Command | undefined
  for (let count = 0; count < MAX_COMMANDS; count++) {
    const loss = command === undefined ? undefined : deps.lose(command)
    if (loss === 'before') return { ...outcome, end: decision?.ends ?? 'later' }
    const reply = await contact.connect(message)
    if (loss === 'after') return { ...outcome, end: decision?.ends ?? 'later' }
    if (reply.kind !== 'ok') {
      if (reply.kind === 'refused')
        report('unexpected_status', `${pending?.status ?? 'Idle'}: ${reply.status}`)
      return { ...outcome, end: reply.kind }
    }
    if (pending !== undefined) {
      pending.acknowledged = true
      outcome.results[pending.status]++
    }
    if (decision?.ends !== undefined) return { ...outcome, end: decision.ends }
    command = readCommand(reply, report)
    if (command === undefined) return outcome
    checkCommand(command, deps, notNow)
    decision = await deps.decide(command)
    const { status, keys } = decision.answer
    if (status === 'NotNow') notNow.add(command.commandUuid)
    outcome.pollsAgain = status === 'NotNow'
    pending = ledger.answered(command.commandUuid, command.requestType, status)
    message = { ...ids, CommandUUID: command.commandUuid, Status: status, ...keys }
  }
  report('endless_session', `more than ${MAX_COMMANDS} commands in one session`)
  return outcome
}

/** The command of an answer; undefined when there is none, which an invalid one counts as. */
function readCommand(reply: Extract<Reply, { kind: 'ok' }>, report: ReportViolation): Command | undefined {
  if (reply.body.length === 0) return undefined
  if (!COMMAND_TYPES.includes(reply.mediaType)) {
    report('wrong_content_type', `a command came as ${reply.mediaType === '' ? 'nothing' : reply.mediaType}`)
  }
  let value: PlistValue
  try {
    value = parsePlist(reply.body)
  } catch (error) {
    report('invalid_body', `a command that is no property list: ${(error as Error).message}`)
    return undefined
  }
  const commandUuid = isDict(value) ? value['CommandUUID'] : undefined
  const body = isDict(value) ? value['Command'] : undefined
  const requestType = isDict(body) ? body['RequestType'] : undefined
  if (
    typeof commandUuid !== 'string' ||
    commandUuid === '' ||
    !isDict(body) ||
    typeof requestType !== 'string'
  ) {
    report('invalid_body', 'a command without CommandUUID, Command or RequestType')
    return undefined
  }
  return { commandUuid, requestType, body }
}

function checkCommand(command: Command, deps: SessionDeps, notNow: ReadonlySet<string>): void {
  const { commandUuid, requestType } = command
  const { ledger, kind, report } = deps
  const what = `${requestType} ${commandUuid}`
  const before = ledger.find(commandUuid)
  if (notNow.has(commandUuid)) report('repeated_after_not_now', what)
  else if (before?.acknowledged === true && before.status !== 'NotNow') {
    report('repeated_after_final_answer', `${what} was answered ${before.status}`)
  }
  if (!fitsChannel(requestType, kind)) report('wrong_channel', `${what} on a ${kind} channel`)
}

import { AppError } from '../../kernel/errors.ts'
import { isDict, parsePlist, writePlist, type PlistDict } from '../plist/index.ts'
import { fromJson } from './json.ts'

/** Longest CommandUUID and RequestType that are taken. */
const LONGEST_REQUEST_TYPE = 128

/** A command as it is sent. */
interface Command {
  uuid: string
  requestType: string
  /** The `Command` dictionary with its RequestType. */
  command: PlistDict
}

/**
 * Checks that a property list is a command: a `Command` dictionary with RequestType, and a CommandUUID. The type
 * itself is not looked at. Throws `plist_invalid`, or `command_invalid` naming the key.
 */
export function parseCommand(bytes: Uint8Array): Command {
  const raw = parsePlist(bytes)
  if (!isDict(raw)) return refuse('The command is not a dictionary')
  const command = raw['Command']
  if (!isDict(command)) return refuse('Command is missing or not a dictionary')
  const requestType = checkedName(command['RequestType'], 'Command.RequestType')
  return { uuid: checkedName(raw['CommandUUID'], 'CommandUUID'), requestType, command }
}

/**
 * Writes a command as an XML property list. `fields` are its parameters as JSON (see `fromJson`); a RequestType
 * among them must be the given one. Throws `command_invalid` with the path of what cannot be sent.
 */
export function buildCommand(
  uuid: string,
  requestType: string,
  fields: Readonly<Record<string, unknown>> = {},
): Buffer<ArrayBuffer> {
  const { RequestType = requestType, ...members } = fields
  if (RequestType !== requestType) refuse('RequestType: not the type of this command')
  return writeCommand(uuid, requestType, fromJson(members) as PlistDict)
}

/** Writes a command whose parameters are a property list already. Throws `command_invalid` where it cannot be sent. */
export function writeCommand(uuid: string, requestType: string, members: PlistDict): Buffer<ArrayBuffer> {
  const command = { RequestType: checkedName(requestType, 'RequestType'), ...members }
  try {
    return Buffer.from(writePlist({ Command: command, CommandUUID: checkedName(uuid, 'CommandUUID') }))
  } catch (error) {
    if (error instanceof AppError) throw new AppError('command_invalid', error.message, { cause: error })
    throw error
  }
}

function checkedName(value: unknown, key: string): string {
  if (typeof value !== 'string' || value === '') return refuse(`${key} is missing or not a text`)
  if (value.length > LONGEST_REQUEST_TYPE)
    return refuse(`${key} is longer than ${LONGEST_REQUEST_TYPE} characters`)
  // eslint-disable-next-line no-control-regex
  return /[\u0000-\u001f\u007f-\u009f]/.test(value) ? refuse(`${key} holds a control character`) : value
}

function refuse(reason: string): never {
  throw new AppError('command_invalid', reason)
}

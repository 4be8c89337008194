import { AppError, type Fault } from '../../kernel/errors.ts'
import { newAppleUuid } from '../../kernel/ids.ts'
import {
  buildCommand,
  checkCommand,
  fromJson,
  markDataKeys,
  parseCommand,
  type CheckedCommand,
} from '../../protocol/mdm/index.ts'
import type { PlistDict } from '../../protocol/plist/index.ts'
import type { NewCommand } from './new-command.ts'
import type { CommandWanted } from './schema.ts'

/** A command as somebody wants it, before it is known for whom. */
interface ReadCommand {
  command: Omit<NewCommand, 'targets'>
  parts: CheckedCommand['parts']
}

/**
 * The command that somebody wants. Errors: `invalid_request`, `plist_invalid`, and `command_invalid` with a pointer for each wrong
 * key, and, unless it is forced, for each value that Apple's schema does not have.
 */
export function readWanted(body: CommandWanted): ReadCommand {
  const { not_before, expires_at } = body
  if (not_before !== undefined && expires_at !== undefined && new Date(expires_at) <= new Date(not_before))
    throw new AppError('invalid_request', 'expires_at is not after not_before.', {
      faults: [{ pointer: '/expires_at', detail: 'is not after not_before' }],
    })
  const { parts, ...plist } = readPlist(body)
  return {
    parts,
    command: {
      ...plist,
      ...(body.force === true && { forced: true }),
      ...(body.priority !== undefined && { priority: body.priority }),
      ...(not_before !== undefined && { notBefore: new Date(not_before) }),
      ...(expires_at !== undefined && { expiresAt: new Date(expires_at) }),
    },
  }
}

function readPlist(
  body: CommandWanted,
): Pick<NewCommand, 'uuid' | 'requestType' | 'body'> & Pick<ReadCommand, 'parts'> {
  const { plist, command, request_type, force = false } = body
  if ((plist === undefined) === (request_type === undefined))
    throw new AppError('invalid_request', 'Give either request_type (and command), or plist.', {
      faults: [{ pointer: '/request_type', detail: 'is needed, or plist, and not both' }],
    })
  if (plist !== undefined) {
    if (command !== undefined)
      throw new AppError('invalid_request', 'command does not go with plist.', {
        faults: [{ pointer: '/command', detail: 'does not go with plist' }],
      })
    const bytes = Buffer.from(plist, 'base64')
    const { uuid, requestType, command: dict } = parseCommand(bytes)
    return { uuid, requestType, body: bytes, parts: check(requestType, dict, '/plist/Command', force) }
  }
  const type = request_type ?? ''
  const uuid = newAppleUuid()
  const [fields, dict] = fromFields(type, command ?? {})
  const parts = check(type, dict, '/command', force)
  return { uuid, requestType: type, body: buildCommand(uuid, type, fields), parts }
}

function fromFields(type: string, command: Readonly<Record<string, unknown>>) {
  try {
    const fields = markDataKeys(type, command)
    return [fields, fromJson(fields) as PlistDict] as const
  } catch (error) {
    if (!(error instanceof AppError) || error.faults.length === 0) throw error
    throw new AppError('command_invalid', error.message, { faults: below('/command', error.faults) })
  }
}

/** Gives the parts of a command with which there is nothing wrong. */
function check(type: string, dict: PlistDict, at: string, force: boolean): CheckedCommand['parts'] {
  const { faults, parts } = checkCommand(type, dict)
  const told = faults.filter(({ isOfKeys }) => isOfKeys || !force)
  const [first] = told
  if (first === undefined) return parts
  const about = first.pointer === '' ? type : `${type}${first.pointer}`
  throw new AppError('command_invalid', `${about}: ${first.detail}`, { faults: below(at, told) })
}

/** Pointers into a command as pointers into the body of the request; the type of a command in JSON stands beside it. */
function below(at: string, faults: readonly Fault[]): Fault[] {
  return faults.map(({ pointer, detail }) => ({
    pointer: at === '/command' && pointer === '/RequestType' ? '/request_type' : `${at}${pointer}`,
    detail,
  }))
}

import { AppError } from '../../kernel/errors.ts'
import { isDict, parsePlist } from '../plist/index.ts'
import type { PlistDict } from '../plist/index.ts'
import { checkedId, optionalText, readIdentity } from './identity.ts'
import type { ChannelIdentity } from './identity.ts'

const STATUSES = ['Idle', 'Acknowledged', 'Error', 'CommandFormatError', 'NotNow'] as const

/** Most members of an error chain that are kept, and the longest text of each. */
const LONGEST_CHAIN = 32
const LONGEST_DESCRIPTION = 4096

/** The status of a command message. */
export type ResultStatus = (typeof STATUSES)[number]

/** One error of a chain, the outermost first, with Apple's names. The codes are Apple's own: show them only. */
interface ErrorChainItem {
  ErrorCode?: number
  ErrorDomain?: string
  LocalizedDescription?: string
  USEnglishDescription?: string
}

/** What a device sends to the command endpoint: `Idle` asks for work, the others answer a command. */
export interface CommandResult {
  status: ResultStatus
  /** Always there unless Idle. */
  commandUuid?: string
  /** Sent by some clients only. */
  requestType?: string
  errorChain?: ErrorChainItem[]
  identity: ChannelIdentity
  /** Every key of the message as it came. */
  raw: PlistDict
}

/**
 * Reads a message to the command endpoint. Throws `plist_invalid`, or `message_invalid` for an unknown Status, an
 * answer without CommandUUID or an unusable identity.
 */
export function parseResult(bytes: Uint8Array): CommandResult {
  const raw = parsePlist(bytes)
  if (!isDict(raw)) throw new AppError('message_invalid', 'The message is not a dictionary')
  const status = STATUSES.find((known) => known === raw['Status'])
  if (status === undefined) {
    const given =
      typeof raw['Status'] === 'string' ? JSON.stringify(raw['Status'].slice(0, 64)) : 'of no text'
    throw new AppError('message_invalid', `Unknown Status ${given}`)
  }
  const identity = readIdentity(raw)
  if (status === 'Idle') return { status, identity, raw }
  const commandUuid = checkedId(raw['CommandUUID'], 'CommandUUID')
  const requestType = optionalText(raw, 'RequestType')
  const errorChain = readErrorChain(raw['ErrorChain'])
  return {
    status,
    commandUuid,
    ...(requestType === undefined ? {} : { requestType }),
    ...(errorChain === undefined ? {} : { errorChain }),
    identity,
    raw,
  }
}

function readErrorChain(value: unknown): ErrorChainItem[] | undefined {
  if (!Array.isArray(value)) return undefined
  return value.slice(0, LONGEST_CHAIN).filter(isDict).map(readErrorItem)
}

function readErrorItem(raw: PlistDict): ErrorChainItem {
  const item: ErrorChainItem = {}
  if (typeof raw['ErrorCode'] === 'number') item.ErrorCode = raw['ErrorCode']
  for (const key of ['ErrorDomain', 'LocalizedDescription', 'USEnglishDescription'] as const) {
    const text = optionalText(raw, key, LONGEST_DESCRIPTION)
    if (text !== undefined) item[key] = text
  }
  return item
}

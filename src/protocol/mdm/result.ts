import { AppError } from '../../kernel/errors.ts'
import { isDict, type PlistDict } from '../plist/index.ts'
import { checkedId, optionalText, readIdentity, type ChannelIdentity } from './identity.ts'
import { openMessage, type MessageDict } from './open-message.ts'

const RESULT_STATUSES = ['Idle', 'Acknowledged', 'Error', 'CommandFormatError', 'NotNow'] as const

/** Most members of an error chain that are kept, and the longest text of each. */
const LONGEST_CHAIN = 32
const LONGEST_DESCRIPTION = 4096
/** What is told of a status that nobody knows. */
const LONGEST_STATUS = 64

/** The status of a command message. */
type ResultStatus = (typeof RESULT_STATUSES)[number]

/** What says in an error chain that it is our word, not the device's. */
const OUR_DOMAIN = 'Firstboot'

/** One error of a chain, the outermost first, with Apple's names. The codes are Apple's own: show them only. */
interface ErrorChainItem {
  /** A number, or the text that a device has sent in its place. */
  ErrorCode?: number | string
  ErrorDomain?: string
  LocalizedDescription?: string
  USEnglishDescription?: string
}

/** What a device sends to the command endpoint: `Idle` asks for work, the others answer a command. */
export interface CommandResult {
  /**
   * One that nobody knows is an Error, whose chain begins with what the device has said. So is the acknowledgement of Settings of
   * which an item has failed; its chain is that of the items.
   */
  status: ResultStatus
  /** Always there unless Idle. */
  commandUuid?: string
  /** Sent by some clients only. */
  requestType?: string
  errorChain?: ErrorChainItem[]
  identity: ChannelIdentity
  /** What could not be read, where that is not the whole. */
  unreadable?: string
  /** Every key of the message as it came. */
  raw: MessageDict
}

/**
 * Reads a message to the command endpoint. An answer counts when Status, CommandUUID and identity can be read, whatever
 * else it holds: what cannot be read is left out. Throws `plist_invalid`, or `message_invalid` for an answer without
 * CommandUUID or an unusable identity.
 */
export function parseResult(bytes: Uint8Array): CommandResult {
  const { raw, refusal } = openMessage(bytes)
  const given = raw['Status']
  // Nothing is lost with an Idle that is refused.
  if (given === 'Idle' && refusal) throw refusal
  try {
    const result = readEnvelope(raw)
    return refusal ? { ...result, unreadable: refusal.message } : result
  } catch (error) {
    throw refusal ?? error
  }
}

function readEnvelope(raw: MessageDict): CommandResult {
  const status = RESULT_STATUSES.find((known) => known === raw['Status'])
  if (status === undefined && typeof raw['CommandUUID'] !== 'string')
    throw new AppError('message_invalid', unknownStatus(raw))
  const identity = readIdentity(raw)
  if (status === 'Idle') return { status, identity, raw }
  const commandUuid = checkedId(raw['CommandUUID'], 'CommandUUID')
  const requestType = optionalText(raw, 'RequestType')
  const told = readErrorChain(raw['ErrorChain'])
  const strange = { ErrorDomain: OUR_DOMAIN, USEnglishDescription: unknownStatus(raw) }
  const refused = status === 'Acknowledged' ? readRefusedItems(raw['Settings']) : []
  const errorChain = status === undefined ? [strange, ...(told ?? [])] : refused.length > 0 ? refused : told
  return {
    status: refused.length > 0 ? 'Error' : (status ?? 'Error'),
    commandUuid,
    ...(requestType === undefined ? {} : { requestType }),
    ...(errorChain === undefined ? {} : { errorChain }),
    identity,
    raw,
  }
}

function unknownStatus(raw: MessageDict): string {
  const text = optionalText(raw, 'Status', LONGEST_STATUS)
  return `Unknown Status ${text === undefined ? 'of no text' : JSON.stringify(text)}`
}

/** Settings are answered item by item, and acknowledged as a whole whatever became of each (Apple: settings, response). */
function readRefusedItems(value: unknown): ErrorChainItem[] {
  const items = isDict(value) ? [value] : Array.isArray(value) ? value.filter(isDict) : []
  return items
    .filter(({ Status: status }) => typeof status === 'string' && status !== 'Acknowledged')
    .flatMap((item) => {
      const chain = readErrorChain(item['ErrorChain']) ?? []
      return chain.length > 0 ? chain : [{ USEnglishDescription: itemRefused(item) }]
    })
    .slice(0, LONGEST_CHAIN)
}

function itemRefused(item: PlistDict): string {
  const text = (key: string) => optionalText(item, key, LONGEST_STATUS)
  const name = text('Item') ?? text('Identifier')
  return `The setting${name === undefined ? '' : ` ${JSON.stringify(name)}`} was answered with ${text('Status')}.`
}

/** An array of dictionaries; some send one dictionary. */
function readErrorChain(value: unknown): ErrorChainItem[] | undefined {
  if (isDict(value)) return [readErrorItem(value)]
  if (!Array.isArray(value)) return undefined
  return value.slice(0, LONGEST_CHAIN).filter(isDict).map(readErrorItem)
}

function readErrorItem(raw: PlistDict): ErrorChainItem {
  const item: ErrorChainItem = {}
  const code = readErrorCode(raw)
  if (code !== undefined) item.ErrorCode = code
  for (const key of ['ErrorDomain', 'LocalizedDescription', 'USEnglishDescription'] as const) {
    const text = optionalText(raw, key, LONGEST_DESCRIPTION)
    if (text !== undefined) item[key] = text
  }
  return item
}

function readErrorCode(raw: PlistDict): number | string | undefined {
  const code = raw['ErrorCode']
  if (typeof code === 'number') return Number.isFinite(code) ? code : undefined
  const text = typeof code === 'bigint' ? code.toString() : optionalText(raw, 'ErrorCode')?.trim()
  return text !== undefined && /^-?\d{1,15}$/.test(text) ? Number(text) : text
}

import { parsePlist, type PlistDict, type PlistValue } from '../../../protocol/plist/index.ts'
import { DeviceFault } from '../../device-fault.ts'
import { openSigned } from '../../wire/signing.ts'
import { dictOf, flagOf, textOf, uuidOf } from '../../wire/strict-reading.ts'

/** A configuration profile of any content. */
export type Configuration = ReturnType<typeof readConfiguration>

const TOP = 'the profile'
const DER_SEQUENCE = 0x30

/** Codes of MCProfileErrorDomain (Apple's MDM protocol reference, "Error Codes"). */
const CODE = {
  malformed: 1000,
  version: 1001,
  missing: 1002,
  type: 1003,
  empty: 1005,
  encrypted: 1006,
  uuids: 1007,
  value: 1010,
}

/**
 * Reads a .mobileconfig, plain or CMS-signed, and checks what every payload must have. Refuses with the fault that a
 * device answers, or with a code of the codecs.
 * https://developer.apple.com/documentation/devicemanagement/toplevel
 */
export function readConfiguration(bytes: Uint8Array, now: Date) {
  const signed = bytes[0] === DER_SEQUENCE
  const { content, signers } = signed ? openSigned(bytes, now) : { content: bytes, signers: [] }
  const top = dictOf(parsePlist(content), TOP)
  if (top['PayloadType'] !== 'Configuration') fault('malformed', `${TOP}: PayloadType is not Configuration`)
  checkCommon(top, TOP)
  if (top['IsEncrypted'] === true || top['EncryptedPayloadContent'] !== undefined) {
    fault('encrypted', `${TOP}: it is encrypted, and not for this device`)
  }
  const payloads = readPayloads(top)
  const uuids = [top, ...payloads].map((part) => part['PayloadUUID'])
  if (new Set(uuids).size !== uuids.length) fault('uuids', `${TOP}: a PayloadUUID is used twice`)
  return {
    identifier: textOf(top, 'PayloadIdentifier', TOP),
    uuid: uuidOf(top, 'PayloadUUID', TOP),
    displayName: textOr(top, 'PayloadDisplayName') ?? '',
    organization: textOr(top, 'PayloadOrganization'),
    description: textOr(top, 'PayloadDescription'),
    removalDisallowed: flagOf(top, 'PayloadRemovalDisallowed', TOP),
    hasRemovalPasscode: flagOf(top, 'HasRemovalPasscode', TOP),
    scope: readScope(top['PayloadScope']),
    removal: readRemoval(top),
    signed,
    /** DER of the certificates of its signature, the signer's first. */
    signers,
    /** The property list itself, without signature. */
    content,
    payloads,
  }
}

function fault(kind: keyof typeof CODE, description: string): never {
  throw new DeviceFault({ domain: 'MCProfileErrorDomain', code: CODE[kind], description })
}

function readPayloads(top: PlistDict): PlistDict[] {
  const list = top['PayloadContent']
  if (list !== undefined && !Array.isArray(list)) {
    return fault('type', `${TOP}: PayloadContent is not a filled array`)
  }
  if (list === undefined || list.length === 0) {
    return fault('empty', `${TOP}: PayloadContent is not a filled array`)
  }
  const payloads = list.map((item, index) => dictOf(item, `payload ${index}`))
  for (const payload of payloads) checkCommon(payload, textOf(payload, 'PayloadType', 'a payload'))
  return payloads
}

function checkCommon(payload: PlistDict, where: string): void {
  if (payload['PayloadVersion'] !== 1) fault('version', `${where}: PayloadVersion is not 1`)
  for (const key of ['PayloadIdentifier', 'PayloadUUID']) {
    if (payload[key] === undefined) fault('missing', `${where}: ${key} is not a text`)
  }
  textOf(payload, 'PayloadIdentifier', where)
  uuidOf(payload, 'PayloadUUID', where)
}

function textOr(dict: PlistDict, key: string): string | undefined {
  const value = dict[key]
  if (value === undefined || typeof value === 'string') return value
  return fault('type', `${TOP}: ${key} is not a text`)
}

function readScope(value: PlistValue = 'System'): 'System' | 'User' {
  if (value === 'System' || value === 'User') return value
  return fault('value', `${TOP}: PayloadScope is neither System nor User`)
}

/** When it goes by itself: a moment, or so many milliseconds after its installation. */
function readRemoval(top: PlistDict): Date | number | undefined {
  const { RemovalDate: date, DurationUntilRemoval: seconds } = top
  if (date !== undefined)
    return date instanceof Date ? date : fault('type', `${TOP}: RemovalDate is not a date`)
  if (seconds === undefined) return undefined
  return typeof seconds === 'number'
    ? seconds * 1_000
    : fault('type', `${TOP}: DurationUntilRemoval is not a number`)
}

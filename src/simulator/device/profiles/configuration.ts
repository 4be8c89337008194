import { isDict, parsePlist, type PlistDict } from '../../../protocol/plist/index.ts'
import { openSigned } from '../../wire/signing.ts'
import { dictOf, refuse, textOf, uuidOf } from '../../wire/strict-reading.ts'

/** A configuration profile of any content. */
export type Configuration = ReturnType<typeof readConfiguration>

const TOP = 'the profile'

/**
 * Reads a .mobileconfig, plain or CMS-signed, and checks what every payload must have.
 * https://developer.apple.com/documentation/devicemanagement/toplevel
 */
export function readConfiguration(bytes: Uint8Array, now: Date) {
  const signed = bytes[0] === 0x30
  const content = signed ? openSigned(bytes, now) : bytes
  const top = dictOf(parsePlist(content), TOP)
  if (top['PayloadType'] !== 'Configuration') refuse(`${TOP}: PayloadType is not Configuration`)
  checkCommon(top, TOP)
  const list = top['PayloadContent']
  if (!Array.isArray(list) || list.length === 0) return refuse(`${TOP}: PayloadContent is not a filled array`)
  const payloads = list.map((item, index) => dictOf(item, `payload ${index}`))
  for (const payload of payloads) checkCommon(payload, textOf(payload, 'PayloadType', 'a payload'))
  const uuids = [top, ...payloads].map((part) => part['PayloadUUID'])
  if (new Set(uuids).size !== uuids.length) refuse(`${TOP}: a PayloadUUID is used twice`)
  const organization = top['PayloadOrganization']
  return {
    identifier: textOf(top, 'PayloadIdentifier', TOP),
    uuid: uuidOf(top, 'PayloadUUID', TOP),
    displayName: typeof top['PayloadDisplayName'] === 'string' ? top['PayloadDisplayName'] : '',
    organization: typeof organization === 'string' ? organization : undefined,
    removalDisallowed: top['PayloadRemovalDisallowed'] === true,
    signed,
    payloads,
  }
}

function checkCommon(payload: PlistDict, where: string): void {
  if (!isDict(payload) || payload['PayloadVersion'] !== 1) refuse(`${where}: PayloadVersion is not 1`)
  textOf(payload, 'PayloadIdentifier', where)
  uuidOf(payload, 'PayloadUUID', where)
}

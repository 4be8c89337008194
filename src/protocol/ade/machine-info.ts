import { AppError } from '../../kernel/errors.ts'
import { serialNumberOf } from '../../kernel/serial-number.ts'
import { createSignatureVerifier, signData } from '../cms/index.ts'
import { isDict, parsePlist, writePlist } from '../plist/index.ts'
import type { PlistDict, PlistValue, WritablePlist } from '../plist/index.ts'
import type { Certificate, HashName, Identity } from '../x509/index.ts'

/** What a device says of itself at first power-on (Apple: MachineInfo). All of it is the device's own word. */
export interface MachineInfo {
  /** Absent, like the serial number, in user enrollments. */
  readonly udid: string | undefined
  readonly serial: string | undefined
  /** `iPhone15,2` */
  readonly product: string
  /** The build, `22B83`. */
  readonly version: string
  /** `18.1`; since iOS 17. */
  readonly osVersion: string | undefined
  /** `(a)` of a rapid security response, and its build. */
  readonly osVersionExtra: string | undefined
  readonly supplementalBuildVersion: string | undefined
  readonly imei: string | undefined
  readonly meid: string | undefined
  /** `fr_CH` */
  readonly language: string | undefined
  readonly canRequestSoftwareUpdate: boolean
  readonly softwareUpdateDeviceId: string | undefined
  /** The whole dictionary. */
  readonly raw: PlistDict
}

/** A MachineInfo whose signature is right, and who made it; whether to trust them is another question. */
interface SignedMachineInfo {
  readonly info: MachineInfo
  /** What is signed, whatever stands around it: the same bytes are the same message. */
  readonly signed: Uint8Array
  readonly signer: Certificate
  /** DER of all certificates that came along, the signer's among them. */
  readonly certificates: readonly Buffer[]
}

const MAX_MACHINE_INFO_BYTES = 64 * 1024
const MACHINE_INFO_LIMITS = { maxBytes: MAX_MACHINE_INFO_BYTES, maxDepth: 8, maxNodes: 500 }
const MAX_FACT_LENGTH = 256
const verifyOnce = createSignatureVerifier({ cacheSize: 0 })

/**
 * Reads the body that a device posts: a CMS message with an XML or binary property list inside, with or without signed
 * attributes. At most 64 KiB. `verify`: one that remembers signers, for whoever reads many. Refuses `message_invalid` with
 * the reason.
 */
export function readMachineInfo(message: Uint8Array, verify = verifyOnce): SignedMachineInfo {
  if (message.length > MAX_MACHINE_INFO_BYTES) throw refusal(`more than ${MAX_MACHINE_INFO_BYTES} bytes`)
  try {
    const { content, signer, certificates, signed } = verify(message, {
      encoding: 'ber',
      attributes: 'optional',
    })
    const dict = parsePlist(content ?? Buffer.alloc(0), MACHINE_INFO_LIMITS)
    return { info: readInfo(dict), signed, signer, certificates }
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'message_invalid') throw error
    throw refusal(error.message, error)
  }
}

/** The same from the header `x-apple-aspen-deviceinfo` of the web view: the CMS message in base64. */
export function readMachineInfoHeader(header: string, verify = verifyOnce): SignedMachineInfo {
  if (header.length > MAX_MACHINE_INFO_BYTES * 1.5) throw refusal(`more than ${MAX_MACHINE_INFO_BYTES} bytes`)
  const text = header.replace(/\s+/g, '')
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) throw refusal('the header is no base64')
  return readMachineInfo(Buffer.from(text, 'base64'), verify)
}

/** Makes the message as a device does; `chain`: the certificates that go along besides the signer's. */
export async function signMachineInfo(
  info: Readonly<Record<string, WritablePlist>>,
  signer: Identity,
  options: { chain?: readonly Certificate[]; hash?: HashName; signingTime?: Date } = {},
): Promise<Buffer> {
  const { chain = [], hash = 'sha256', signingTime } = options
  const content = Buffer.from(writePlist(info))
  const certificates = [signer.certificate, ...chain]
  return signData({ content, signer, certificates, hash, ...(signingTime && { signingTime }) })
}

function readInfo(dict: PlistValue): MachineInfo {
  if (!isDict(dict)) throw refusal('the property list is no dictionary')
  /** What is of another type, or has nothing to do in a log, a database or a header, counts as absent. */
  const text = (key: string): string | undefined => {
    const value = dict[key]
    if (typeof value !== 'string' || value === '' || value.length > MAX_FACT_LENGTH || /\p{Cc}/u.test(value))
      return undefined
    return value
  }
  const need = (key: string): string => {
    const value = text(key)
    if (value === undefined) throw refusal(`${key} is missing or no sensible text`)
    return value
  }
  const serial = serialNumberOf(dict['SERIAL'])
  if (serial === undefined && dict['SERIAL'] !== undefined) throw refusal('SERIAL is no serial number')
  return {
    udid: text('UDID'),
    serial,
    product: need('PRODUCT'),
    version: need('VERSION'),
    osVersion: text('OS_VERSION'),
    osVersionExtra: text('SUPPLEMENTAL_OS_VERSION_EXTRA'),
    supplementalBuildVersion: text('SUPPLEMENTAL_BUILD_VERSION'),
    imei: text('IMEI'),
    meid: text('MEID'),
    language: text('LANGUAGE'),
    canRequestSoftwareUpdate: dict['MDM_CAN_REQUEST_SOFTWARE_UPDATE'] === true,
    softwareUpdateDeviceId: text('SOFTWARE_UPDATE_DEVICE_ID'),
    raw: dict,
  }
}

function refusal(reason: string, cause?: unknown): AppError {
  return new AppError('message_invalid', `MachineInfo: ${reason}`, { cause })
}

import { parseCertificate } from '../../../protocol/x509/index.ts'
import { AppError } from '../../../kernel/errors.ts'
import { isDict, type PlistDict } from '../../../protocol/plist/index.ts'
import { DeviceFault } from '../../device-fault.ts'
import type { Configuration } from './configuration.ts'

/** Payload types that hold a single certificate, in DER or PEM. */
const CERTIFICATE_TYPES: ReadonlySet<unknown> = new Set([
  'com.apple.security.root',
  'com.apple.security.pkcs1',
  'com.apple.security.pem',
])

/** What a payload of a type must have. Anything that is not here is taken as it is. */
const RULES: Readonly<Record<string, (payload: PlistDict, identifier: string) => void>> = {
  'com.apple.security.root': checkCertificate,
  'com.apple.security.pkcs1': checkCertificate,
  'com.apple.security.pem': checkCertificate,
  'com.apple.security.pkcs12': (payload, identifier) => void dataOf(payload, identifier),
  'com.apple.applicationaccess': checkRestrictions,
  'com.apple.app.lock': checkAppLock,
}

/** Refuses a profile with the fault that a device answers when one of its payloads is not as its type asks. */
export function checkPayloads({ identifier, payloads }: Configuration): void {
  for (const payload of payloads) RULES[payload['PayloadType'] as string]?.(payload, identifier)
  if (payloads.filter((payload) => payload['PayloadType'] === 'com.apple.app.lock').length > 1) {
    refuse(identifier, 'MCInstallationErrorDomain', 4019, 'The profile holds more than one App Lock payload.')
  }
}

/** The certificates in these payloads, DER. */
export function certificatesIn(payloads: readonly PlistDict[]): Buffer[] {
  return payloads.flatMap((payload) => {
    const data = CERTIFICATE_TYPES.has(payload['PayloadType']) ? payload['PayloadContent'] : undefined
    return data instanceof Uint8Array ? [parseCertificate(Buffer.from(data)).der] : []
  })
}

function refuse(identifier: string, domain: string, code: number, description: string): never {
  const outer = `The profile “${identifier}” could not be installed.`
  throw new DeviceFault(
    { domain: 'MCProfileErrorDomain', code: 1009, description: outer },
    { domain, code, description },
  )
}

function dataOf(payload: PlistDict, identifier: string): Uint8Array {
  const { PayloadContent: data } = payload
  if (data instanceof Uint8Array) return data
  const [code, what] = data === undefined ? [2002, 'is missing'] : [2003, 'is not data']
  return refuse(identifier, 'MCPayloadErrorDomain', code, `PayloadContent ${what}.`)
}

function checkCertificate(payload: PlistDict, identifier: string): void {
  const data = dataOf(payload, identifier)
  try {
    parseCertificate(Buffer.from(data))
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    refuse(identifier, 'MCCertificateErrorDomain', 9005, `The certificate is malformed: ${error.message}`)
  }
}

function checkRestrictions(payload: PlistDict, identifier: string): void {
  const odd = Object.entries(payload).find(
    ([key, value]) => /^(allow|force)[A-Z]/.test(key) && typeof value !== 'boolean',
  )
  if (odd !== undefined) {
    refuse(
      identifier,
      'MCPayloadErrorDomain',
      2003,
      `com.apple.applicationaccess: ${odd[0]} is not a boolean.`,
    )
  }
}

function checkAppLock(payload: PlistDict, identifier: string): void {
  const app = payload['App']
  if (!isDict(app) || typeof app['Identifier'] !== 'string') {
    refuse(identifier, 'MCPayloadErrorDomain', 2002, 'com.apple.app.lock: App.Identifier is missing.')
  }
}

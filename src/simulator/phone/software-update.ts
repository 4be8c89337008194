import { isRecord, parseRecord } from '../../kernel/records.ts'
import { compareVersions, isOsVersion } from '../../protocol/ade/index.ts'
import { isDict, parsePlist } from '../../protocol/plist/index.ts'
import type { DeviceFacts } from '../device-facts.ts'
import type { HttpAnswer } from '../wire/device-http.ts'
import { mediaType } from '../wire/strict-reading.ts'
import type { ReportViolation } from '../wire/violations.ts'

/** What a server demands that wants a newer system. */
interface UpdateDemand {
  osVersion: string
  buildVersion: string | undefined
  /** For the person. */
  message: string | undefined
}

const CODE = 'com.apple.softwareupdate.required'

/**
 * The demand in a 403, with what is wrong about it reported; undefined when the 403 is something else.
 * https://developer.apple.com/documentation/devicemanagement/errorcodesoftwareupdaterequired
 */
export function readUpdateDemand(
  answer: HttpAnswer,
  device: { facts: DeviceFacts; canUpdate: boolean },
  report: ReportViolation,
): UpdateDemand | undefined {
  if (!answer.body.includes(CODE)) return undefined
  const wrong = (detail: string) => {
    report('update_demand_invalid', detail)
    return undefined
  }
  const document = parse(answer)
  if (document === undefined) return wrong(`its content type is ${String(answer.headers['content-type'])}`)
  const { code, message, details } = document
  if (code !== CODE) return wrong(`its code is ${String(code)}`)
  const { OSVersion: osVersion, BuildVersion: buildVersion } = isRecord(details) ? details : {}
  if (typeof osVersion !== 'string' || !isOsVersion(osVersion))
    return wrong('details.OSVersion is no version')
  if (!device.canUpdate) wrong('the device has not said that it can update')
  if (compareVersions(osVersion, device.facts.osVersion) <= 0) wrong(`the device has ${osVersion} or newer`)
  return {
    osVersion,
    buildVersion: typeof buildVersion === 'string' ? buildVersion : undefined,
    message: typeof message === 'string' && message !== '' ? message : undefined,
  }
}

/** A JSON document or a property list, as its content type says. */
function parse({ headers, body }: HttpAnswer): Readonly<Record<string, unknown>> | undefined {
  const type = mediaType(headers['content-type'])
  try {
    if (type === 'application/json') return parseRecord(body.toString('utf8'))
    if (type !== 'application/xml' && type !== 'text/xml') return undefined
    const value = parsePlist(body)
    return isDict(value) ? value : undefined
  } catch {
    return undefined
  }
}

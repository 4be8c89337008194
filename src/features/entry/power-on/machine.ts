import { withoutNul } from '../../../db/index.ts'
import { AppError } from '../../../kernel/errors.ts'
import { sha256 } from '../../../kernel/ids.ts'
import type { Log } from '../../../kernel/log.ts'
import { readMachineInfo, readMachineInfoHeader } from '../../../protocol/ade/index.ts'
import type { MachineInfo, MachineInfoTrust } from '../../../protocol/ade/index.ts'
import { createSignatureVerifier } from '../../../protocol/cms/index.ts'

/** Signers whose certificate and key are kept ready, about 15 kB each: a device that signs in posts twice at least. */
const READY_SIGNERS = 500

/** A device that has introduced itself; `distrust` says why its word does not count. */
export interface Machine {
  serial: string
  udid: string
  info: MachineInfo
  /** SHA-256 of what it signed, hex. */
  hash: string
  distrust: string | undefined
  /** Its signature was looked into, and is that of a device that is trusted. */
  isProven: boolean
}

/**
 * Reads what devices say of themselves at power-on, and judges who signed it. Refuses `message_invalid`. A signer that is not
 * trusted is logged; whether it counts is up to the mode of `trust`.
 */
export function createMachineReader(deps: { trust: MachineInfoTrust; log: Log }) {
  const verify = createSignatureVerifier({ cacheSize: READY_SIGNERS })

  async function judge(message: ReturnType<typeof readMachineInfo>): Promise<Machine> {
    const { info, signed, signer, certificates } = message
    const { serial, udid } = info
    if (serial === undefined || udid === undefined)
      throw new AppError('message_invalid', 'MachineInfo: SERIAL or UDID is missing')
    const verdict = await deps.trust.judge(signer, certificates)
    const device = {
      serial: withoutNul(serial),
      udid: withoutNul(udid),
      info,
      hash: sha256(signed).toString('hex'),
      isProven: verdict.trusted && deps.trust.isLooking,
    }
    if (verdict.trusted) return { ...device, distrust: undefined }
    if (verdict.accepted)
      deps.log.warn(
        { event: 'machine_info.untrusted', serial_number: serial, detail: verdict.reason },
        'MachineInfo is not signed by a device that is trusted; it is taken all the same',
      )
    return { ...device, distrust: verdict.accepted ? undefined : verdict.reason }
  }

  return {
    /** The body of the POST. */
    async fromBody(body: unknown) {
      if (!Buffer.isBuffer(body)) throw new AppError('message_invalid', 'MachineInfo: there is no body')
      return judge(readMachineInfo(body, verify))
    },
    /** The header `x-apple-aspen-deviceinfo` of the web view. */
    fromHeader: async (header: string) => judge(readMachineInfoHeader(header, verify)),
  }
}

import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import {
  createFakeAppleCa,
  createPhoneDesk,
  createPhoneMaker,
  deliverPushes,
  startFakeAde,
} from '../simulator/index.ts'
import type { DeviceHttp, FakeApns, PhoneDesk } from '../simulator/index.ts'
import type { Breach } from './simulation-summary.ts'

/** Starts a fake of Automated Device Enrollment with its phones. The certificate of the CA that its phones are from is kept in the folder; it is a new one every time. */
export async function startSimulatedAde(deps: {
  options: { adePort: number; apnsHost: string; folder: string; seed: string }
  apns: FakeApns
  http: DeviceHttp
}) {
  const { options, apns, http } = deps
  const ca = await createFakeAppleCa(new Date())
  const caFile = path.resolve(options.folder, 'device-ca.pem')
  await mkdir(options.folder, { recursive: true })
  await writeFile(caFile, ca.pem)
  const ade = await startFakeAde({
    host: options.apnsHost,
    port: options.adePort,
    powerOn: (serialNumber, person) => desk.powerOn(serialNumber, person),
  })
  const { activate } = ade
  const pushes = deliverPushes(apns)
  const make = createPhoneMaker({ ca, http, activate, pushes, seed: `${options.seed}/ade` })
  const desk: PhoneDesk = createPhoneDesk(make)
  return {
    /** What to tell the server, and what can be done here. */
    introduction: introduction(ade.url, caFile),
    /** What the server did against the rules of Apple's cloud, and what its phones saw. */
    violations: (): Breach[] => [
      ...ade.violations.map(({ kind, detail }) => ({ kind, serial_number: null, detail })),
      ...desk
        .violations()
        .map(({ serialNumber, kind, detail }) => ({ kind, serial_number: serialNumber, detail })),
    ],
    close: ade.close,
  }
}

function introduction(url: string, caFile: string): string {
  return `The fake of Automated Device Enrollment is at ${url}. The server must know it, and the CA of its phones:
  FIRSTBOOT_ADE_URL=${url}
  FIRSTBOOT_MACHINE_INFO_CA_FILE=${caFile}
Its portal:
  POST ${url}/portal/servers?name=NAME             body: the .pem; gives the .p7m
  POST ${url}/portal/servers/NAME/devices          body: serial numbers, one a line
  POST ${url}/portal/devices/SERIAL/power-on       powers the phone on; body: nothing, or
       {"user_name": "...", "password": "...", "one_time_code": "...", "new_password": "..."}
`
}

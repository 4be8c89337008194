import { HEX_DIGITS, type Random } from './random.ts'

/** What a device is made of and never changes its mind about. */
export interface DeviceFacts {
  udid: string
  serialNumber: string
  platform: 'ios' | 'ipados' | 'macos'
  productName: string
  model: string
  modelName: string
  deviceName: string
  osVersion: string
  buildVersion: string
  /** Phones only. */
  imei?: string
  supervised: boolean
}

/** Apple leaves out letters that look like digits. */
const SERIAL_ALPHABET = '0123456789CDFGHJKLMNPQRTVWXY'

type Hardware = Pick<DeviceFacts, 'platform' | 'productName' | 'model' | 'modelName'>

const HARDWARE: readonly [Hardware, ...Hardware[]] = [
  { platform: 'ios', productName: 'iPhone14,5', model: 'MLPF3ZD', modelName: 'iPhone' },
  { platform: 'ios', productName: 'iPhone15,2', model: 'MQ003ZD', modelName: 'iPhone' },
  { platform: 'ios', productName: 'iPhone17,3', model: 'MYE73ZD', modelName: 'iPhone' },
  { platform: 'ipados', productName: 'iPad13,18', model: 'MPQ03TY', modelName: 'iPad' },
  { platform: 'ipados', productName: 'iPad14,8', model: 'MUWC3NF', modelName: 'iPad' },
]

const OS_RELEASES: readonly [readonly [string, string], ...(readonly [string, string])[]] = [
  ['18.1', '22B83'],
  ['18.5', '22F76'],
  ['26.0', '23A341'],
]

/** Invents a phone or tablet; `changes` fixes what matters to the caller. */
export function inventDevice(random: Random, changes: Partial<DeviceFacts> = {}): DeviceFacts {
  const hardware = random.pick(HARDWARE)
  const [osVersion, buildVersion] = random.pick(OS_RELEASES)
  const serialNumber = `F${random.text(9, SERIAL_ALPHABET)}`
  const facts: DeviceFacts = {
    ...hardware,
    udid: `00008${random.text(3, '0123456789')}-00${random.text(14, HEX_DIGITS)}`,
    serialNumber,
    deviceName: `${hardware.modelName} ${serialNumber.slice(-4)}`,
    osVersion,
    buildVersion,
    supervised: true,
    ...changes,
  }
  return facts.platform === 'ios' && facts.imei === undefined
    ? { ...facts, imei: `35${random.text(13, '0123456789')}` }
    : facts
}

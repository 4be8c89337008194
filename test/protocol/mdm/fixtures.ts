import { writePlist } from '../../../src/protocol/plist/index.ts'
import type { WritablePlist } from '../../../src/protocol/plist/index.ts'

export const UDID = '00008110-000A1B2C3D4E801E'
export const TOPIC = 'com.apple.mgmt.External.11111111-2222-3333-4444-555555555555'
export const SHARED_USER = 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF'

/** A message of the device channel with those keys; undefined ones are left out. */
export function message(keys: Record<string, WritablePlist | undefined>): Buffer {
  return Buffer.from(writePlist({ UDID, ...keys }))
}

import { writePlist, type WritablePlist } from '../../src/protocol/plist/index.ts'

type Dict = Record<string, WritablePlist | undefined>

/** A payload as a profile holds it; `undefined` takes a key away. */
export function payload(keys: Dict = {}): Dict {
  return {
    PayloadType: 'com.apple.wifi.managed',
    PayloadVersion: 1,
    PayloadIdentifier: 'org.example.wifi.1',
    PayloadUUID: '6E1F0B6C-6B0B-4F0B-9B8A-000000000001',
    SSID_STR: 'Example',
    EncryptionType: 'WPA2',
    ...keys,
  }
}

/** A configuration profile that devices take. */
export function mobileconfig(keys: Dict = {}, ...payloads: Dict[]): string {
  return writePlist({
    PayloadContent: payloads.length === 0 ? [payload()] : payloads,
    PayloadType: 'Configuration',
    PayloadVersion: 1,
    PayloadIdentifier: 'org.example.wifi',
    PayloadUUID: '6E1F0B6C-6B0B-4F0B-9B8A-000000000000',
    PayloadDisplayName: 'Wi-Fi of Example',
    ...keys,
  })
}

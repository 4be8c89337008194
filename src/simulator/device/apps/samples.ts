import type { PlistDict } from '../../../protocol/plist/index.ts'

const SAMPLES: readonly (readonly [string, string])[] = [
  ['Mail', 'com.apple.mobilemail'],
  ['Pages', 'com.apple.Pages'],
  ['Timetable', 'ch.example.timetable'],
  ['Field Notes', 'ch.example.fieldnotes'],
  ['Scanner & Stamps', 'ch.example.scanner'],
]

/** The `InstalledApplicationList` of a device with `count` apps (about 560 bytes each on the wire). */
export function installedApps(count: number): PlistDict[] {
  return Array.from({ length: count }, (_, index) => {
    const [name, identifier] = SAMPLES[index % SAMPLES.length]!
    const number = index < SAMPLES.length ? '' : ` ${index}`
    return {
      Identifier: `${identifier}${number.trim()}`,
      Name: `${name}${number}`,
      Version: `${2 + (index % 7)}.${index % 10}`,
      ShortVersion: `${2 + (index % 7)}.${index % 10}.1`,
      BundleSize: 10_000_000 + index * 4096,
      DynamicSize: 200_000 + index,
      Installing: false,
      AppStoreVendable: true,
      DeviceBasedVPP: index % 3 === 0,
      BetaApp: false,
      AdHocCodeSigned: false,
      HasUpdateAvailable: index % 5 === 0,
      IsValidated: true,
      ExternalVersionIdentifier: 860_000_000 + index,
    }
  })
}

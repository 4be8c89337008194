import { crc32, deflateRawSync } from 'node:zlib'

/** A file of an archive, and what the archive says of it, which need not be so. */
export interface ZipEntry {
  name: string
  content: Uint8Array | string
  /** What it is said to unpack to; by default what it does. */
  declaredSize?: number
  isEncrypted?: boolean
  isStored?: boolean
}

/** A ZIP archive (APPNOTE.TXT, sections 4.3.7, 4.3.12 and 4.3.16). */
export function zip(entries: readonly ZipEntry[]): Buffer {
  const pieces: Buffer[] = []
  const central: Buffer[] = []
  let offset = 0
  for (const entry of entries) {
    const content = Buffer.from(entry.content as Uint8Array)
    const packed = entry.isStored ? content : deflateRawSync(content)
    const name = Buffer.from(entry.name)
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(0x800 | (entry.isEncrypted ? 1 : 0), 2)
    common.writeUInt16LE(entry.isStored ? 0 : 8, 4)
    common.writeUInt32LE(0x00210000, 6)
    common.writeUInt32LE(crc32(content), 10)
    common.writeUInt32LE(packed.length, 14)
    common.writeUInt32LE(entry.declaredSize ?? content.length, 18)
    common.writeUInt16LE(name.length, 22)
    const local = Buffer.concat([Buffer.from('PK\u0003\u0004'), common, name, packed])
    const tail = Buffer.alloc(14)
    tail.writeUInt32LE(offset, 10)
    central.push(Buffer.concat([Buffer.from('PK\u0001\u0002\u0014\u0000'), common, tail, name]))
    pieces.push(local)
    offset += local.length
  }
  const directory = Buffer.concat(central)
  const end = Buffer.alloc(22)
  end.write('PK\u0005\u0006', 'latin1')
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...pieces, directory, end])
}

/** An Info.plist. */
export function infoPlist(members: Record<string, string | readonly string[]> = {}): string {
  const all = {
    CFBundleIdentifier: 'com.example.till',
    CFBundleVersion: '42',
    CFBundleShortVersionString: '1.2.3',
    CFBundleDisplayName: 'Till',
    MinimumOSVersion: '16.0',
    CFBundleSupportedPlatforms: ['iPhoneOS'],
    ...members,
  }
  const lines = Object.entries(all).map(([key, value]) =>
    typeof value === 'string'
      ? `<key>${key}</key><string>${value}</string>`
      : `<key>${key}</key><array>${value.map((each) => `<string>${each}</string>`).join('')}</array>`,
  )
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>${lines.join('')}</dict></plist>`
}

/** A small IPA with this Info.plist, and other files beside it. */
export function ipa(info: string | Uint8Array = infoPlist(), more: readonly ZipEntry[] = []): Buffer {
  return zip([
    { name: 'Payload/', content: '', isStored: true },
    { name: 'Payload/Till.app/', content: '', isStored: true },
    { name: 'Payload/Till.app/Info.plist', content: info },
    { name: 'Payload/Till.app/PlugIns/Widget.appex/Info.plist', content: 'not looked at' },
    ...more,
  ])
}

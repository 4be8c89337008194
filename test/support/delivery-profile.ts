import { randomUUID } from 'node:crypto'

function common(id: string, type: string): string {
  return `<key>PayloadIdentifier</key><string>${id}</string>
    <key>PayloadType</key><string>${type}</string><key>PayloadUUID</key><string>${randomUUID()}</string>
    <key>PayloadVersion</key><integer>1</integer>`
}

/** A configuration profile with one Wi-Fi payload, as XML; `lockedTo`: and one that locks the device to an app. */
export function profileXml({
  identifier = 'net.example.profile',
  ssid = 'example',
  scope,
  lockedTo,
}: { identifier?: string; ssid?: string; scope?: 'System' | 'User'; lockedTo?: string } = {}): string {
  const lock =
    lockedTo === undefined
      ? ''
      : `<dict>${common(`${identifier}.lock`, 'com.apple.app.lock')}
    <key>App</key><dict><key>Identifier</key><string>${lockedTo}</string></dict></dict>`
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
  ${common(identifier, 'Configuration')}
  <key>PayloadDisplayName</key><string>A profile of a test</string>
  ${scope === undefined ? '' : `<key>PayloadScope</key><string>${scope}</string>`}
  <key>PayloadContent</key><array><dict>
    ${common(`${identifier}.wifi`, 'com.apple.wifi.managed')}
    <key>SSID_STR</key><string>${ssid}</string>
    <key>HIDDEN_NETWORK</key><false/>
    <key>AutoJoin</key><true/>
    <key>EncryptionType</key><string>None</string>
  </dict>${lock}</array>
</dict></plist>`
}

/** A configuration profile with one payload, whose further keys are `keys` as XML. */
function configuration(name: string, type: string, keys: string): string {
  const identifier = `com.example.${name.toLowerCase()}`
  const head = (ofType: string, id: string, uuid: string) => `<key>PayloadType</key><string>${ofType}</string>
  <key>PayloadIdentifier</key><string>${id}</string>
  <key>PayloadUUID</key><string>${uuid}</string>
  <key>PayloadVersion</key><integer>1</integer>`
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
  ${head('Configuration', identifier, '6B0C3A52-3A0E-4E0C-9D57-5D0F6F0B7A01')}
  <key>PayloadDisplayName</key><string>${name}</string>
  <key>PayloadContent</key><array><dict>
  ${head(type, `${identifier}.1`, '6B0C3A52-3A0E-4E0C-9D57-5D0F6F0B7A02')}
  ${keys}
  </dict></array>
</dict></plist>`
}

/** A network to join. */
export const WIFI = configuration(
  'Wi-Fi',
  'com.apple.wifi.managed',
  `<key>SSID_STR</key><string>Shop</string><key>EncryptionType</key><string>WPA2</string>
  <key>Password</key><string>{{secret.wifi}}</string>`,
)

/** Restrictions, as they should be. */
export const RESTRICTIONS = configuration(
  'Restrictions',
  'com.apple.applicationaccess',
  '<key>allowScreenShot</key><false/>',
)

/** The same with a mistake: a text where devices want true or false. */
export const BAD_RESTRICTIONS = configuration(
  'Restrictions',
  'com.apple.applicationaccess',
  '<key>allowScreenShot</key><string>no</string>',
)

/** The media type of configuration profiles. */
export const PROFILE_TYPE = 'application/x-apple-aspen-config'

/**
 * Where Apple's schema of commands says `<data>`: paths of keys below `Command`, `*` for each item of an array. There
 * a plain base64 string of JSON means the bytes. No command key has the type `<date>`.
 * Source: Apple device-management schema, mdm/commands, 18.1.
 */
const DATA_KEYS: Readonly<Record<string, readonly string[]>> = {
  AccountConfiguration: ['AutoSetupAdminAccounts.*.passwordHash'],
  ClearPasscode: ['UnlockToken'],
  DeclarativeManagement: ['Data'],
  DeviceInformation: ['DeviceAttestationNonce'],
  EraseDevice: ['ReturnToService.WiFiProfileData', 'ReturnToService.MDMProfileData'],
  InstallEnterpriseApplication: ['ManifestURLPinningCerts.*'],
  InstallProfile: ['Payload'],
  InstallProvisioningProfile: ['ProvisioningProfile'],
  RotateFileVaultKey: ['FileVaultUnlock.PrivateKeyExport', 'NewCertificate', 'ReplyEncryptionCertificate'],
  SetAutoAdminPassword: ['passwordHash'],
  Settings: ['Settings.*.Image'],
}

/** The JSON fields of a command with `{"$data": ...}` in the place of plain strings where the schema says data. */
export function markDataKeys(
  requestType: string,
  fields: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const paths = Object.hasOwn(DATA_KEYS, requestType) ? (DATA_KEYS[requestType] ?? []) : []
  return paths.reduce<Readonly<Record<string, unknown>>>(
    (marked, path) => mark(marked, path.split('.')) as Readonly<Record<string, unknown>>,
    fields,
  )
}

function mark(value: unknown, [key, ...rest]: readonly string[]): unknown {
  if (key === undefined) return typeof value === 'string' ? { $data: value } : value
  if (key === '*') return Array.isArray(value) ? value.map((item) => mark(item, rest)) : value
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, key))
    return value
  return { ...value, [key]: mark((value as Record<string, unknown>)[key], rest) }
}

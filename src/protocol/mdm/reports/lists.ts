import { isRecord } from '../../../kernel/records.ts'
import { dictsOf, flagOf, integerOf, numberOf, textOf } from './values.ts'

/** Entries of a list that are read: many times what real devices have. The rest is kept raw alone. */
const MOST_ENTRIES = 5_000
/** Bytes of an identifier: what is longer has no place in an index. */
const MOST_IDENTIFIER_BYTES = 512

/** A profile that is on a device (Apple: ProfileList). */
export interface ListedProfile {
  /** PayloadIdentifier. */
  identifier: string
  /** The top-level PayloadUUID as it is spelled; empty when it is not told. */
  uuid: string
  display_name: string | null
  organization: string | null
  payload_version: number | null
  /** Whether MDM has installed it; null when it is not told. */
  is_managed: boolean | null
  is_removal_disallowed: boolean | null
  has_removal_passcode: boolean | null
  is_encrypted: boolean | null
  /** Where it came from, in Apple's word. */
  source: string | null
  /** The types of its payloads, each once, in the order of their names. */
  payload_types: string[]
}

/** An app that is on a device (Apple: InstalledApplicationList). */
export interface InstalledApp {
  identifier: string
  name: string | null
  version: string | null
  short_version: string | null
  bundle_size: number | null
  /** Whether it is on its way. */
  is_installing: boolean | null
  is_validated: boolean | null
  external_version: number | null
  source: string | null
}

/** An app that is managed, or was to be (Apple: ManagedApplicationList). */
export interface ManagedApp {
  identifier: string
  /** Apple's word, such as Managed. */
  managed_status: string
  management_flags: number | null
  has_configuration: boolean | null
  has_feedback: boolean | null
}

/** The profiles of a ProfileList, each PayloadIdentifier and PayloadUUID once. */
export function readProfiles(list: unknown): ListedProfile[] {
  const profiles = dictsOf(list)
    .slice(0, MOST_ENTRIES)
    .flatMap((entry): ListedProfile[] => {
      const identifier = exactIdentifierOf(entry['PayloadIdentifier'])
      if (identifier === undefined) return []
      const types = dictsOf(entry['PayloadContent']).flatMap(
        (payload) => textOf(payload['PayloadType']) ?? [],
      )
      return [
        {
          identifier,
          uuid: identifierOf(entry['PayloadUUID']) ?? '',
          display_name: textOf(entry['PayloadDisplayName']) ?? null,
          organization: textOf(entry['PayloadOrganization']) ?? null,
          payload_version: integerOf(entry['PayloadVersion']) ?? null,
          is_managed: flagOf(entry['IsManaged']) ?? null,
          is_removal_disallowed: flagOf(entry['PayloadRemovalDisallowed']) ?? null,
          has_removal_passcode: flagOf(entry['HasRemovalPasscode']) ?? null,
          is_encrypted: flagOf(entry['IsEncrypted']) ?? null,
          source: textOf(entry['Source']) ?? null,
          payload_types: [...new Set(types)].toSorted(),
        },
      ]
    })
  return [...new Map(profiles.map((profile) => [`${profile.identifier}\n${profile.uuid}`, profile])).values()]
}

/** The apps of an InstalledApplicationList, each identifier once. Of an app that is there twice, as on Macs, the later version. */
export function readInstalledApps(list: unknown): InstalledApp[] {
  const apps = new Map<string, InstalledApp>()
  for (const entry of dictsOf(list).slice(0, MOST_ENTRIES)) {
    const app = readInstalledApp(entry)
    const known = app && apps.get(app.identifier)
    if (app && (known === undefined || isLater(app, known))) apps.set(app.identifier, app)
  }
  return [...apps.values()]
}

function readInstalledApp(entry: Record<string, unknown>): InstalledApp | undefined {
  const identifier = identifierOf(entry['Identifier'])
  if (identifier === undefined) return undefined
  const size = numberOf(entry['BundleSize'])
  const external = numberOf(entry['ExternalVersionIdentifier'])
  return {
    identifier,
    name: textOf(entry['Name']) ?? null,
    version: textOf(entry['Version']) ?? null,
    short_version: textOf(entry['ShortVersion']) ?? null,
    bundle_size: size !== undefined && size >= 0 && Number.isSafeInteger(size) ? size : null,
    is_installing: flagOf(entry['Installing']) ?? null,
    is_validated: flagOf(entry['IsValidated']) ?? null,
    external_version: external !== undefined && Number.isSafeInteger(external) ? external : null,
    source: textOf(entry['Source']) ?? null,
  }
}

/** The apps of a ManagedApplicationList that have a status. */
export function readManagedApps(dict: unknown): ManagedApp[] {
  if (!isRecord(dict)) return []
  return Object.entries(dict)
    .slice(0, MOST_ENTRIES)
    .flatMap(([key, entry]): ManagedApp[] => {
      const identifier = identifierOf(key)
      const status = isRecord(entry) ? textOf(entry['Status']) : undefined
      if (identifier === undefined || !isRecord(entry) || status === undefined) return []
      return [
        {
          identifier,
          managed_status: status,
          management_flags: integerOf(entry['ManagementFlags']) ?? null,
          has_configuration: flagOf(entry['HasConfiguration']) ?? null,
          has_feedback: flagOf(entry['HasFeedback']) ?? null,
        },
      ]
    })
}

/** That of a profile: a blank at its end is part of it, by which the device tells it from others. */
function exactIdentifierOf(value: unknown): string | undefined {
  if (typeof value !== 'string' || identifierOf(value) === undefined) return undefined
  const text = value.replaceAll('\u0000', '\uFFFD').toWellFormed()
  return Buffer.byteLength(text) <= MOST_IDENTIFIER_BYTES ? text : undefined
}

function identifierOf(value: unknown): string | undefined {
  const text = textOf(value)
  return text !== undefined && Buffer.byteLength(text) <= MOST_IDENTIFIER_BYTES ? text : undefined
}

function isLater(app: InstalledApp, known: InstalledApp): boolean {
  const [one, other] = [app, known].map(({ short_version: short, version }) => short ?? version ?? '')
  return (one ?? '').localeCompare(other ?? '', 'en', { numeric: true }) > 0
}

import type { InventoryKind } from '../inventory.ts'
import { unpackJson } from '../packed-list.ts'
import { readDeviceFacts, readSecurityFacts, type ToldFacts } from './facts.ts'
import {
  readInstalledApps,
  readManagedApps,
  readProfiles,
  type InstalledApp,
  type ListedProfile,
  type ManagedApp,
} from './lists.ts'

/** What a device told, as far as it is kept in columns. */
export type Report =
  | { kind: 'device_information' | 'security_info'; facts: Partial<ToldFacts> }
  | { kind: 'profiles'; profiles: ListedProfile[] }
  | { kind: 'installed_applications'; apps: InstalledApp[] }
  | { kind: 'managed_applications'; apps: ManagedApp[] }
  | { kind: 'certificates' | 'restrictions' }

/** Reads packed inventory (see `packBytes`); nothing that is odd in it stops the rest. Throws `internal` when it is damaged. */
export function readReport(kind: InventoryKind, packed: Uint8Array): Report {
  switch (kind) {
    case 'device_information':
      return { kind, facts: readDeviceFacts(unpackJson(packed)) }
    case 'security_info':
      return { kind, facts: readSecurityFacts(unpackJson(packed)) }
    case 'profiles':
      return { kind, profiles: readProfiles(unpackJson(packed)) }
    case 'installed_applications':
      return { kind, apps: readInstalledApps(unpackJson(packed)) }
    case 'managed_applications':
      return { kind, apps: readManagedApps(unpackJson(packed)) }
    default:
      return { kind }
  }
}

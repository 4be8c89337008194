import type { PlistDict } from '../../../protocol/plist/index.ts'
import { isComing, type App } from './app.ts'
import { afterLook, beforeLook, type Holding } from './holding.ts'
import { installedApps } from './samples.ts'

/**
 * The answer to ManagedApplicationList, all or these apps. What it tells a single time is gone then, and what is under way
 * goes a step on.
 */
export function managedList(holding: Holding, identifiers: readonly unknown[] | undefined): PlistDict {
  const list: PlistDict = {}
  for (const app of [...holding.apps.values()]) {
    if (identifiers?.includes(app.identifier) === false) continue
    beforeLook(holding, app)
    if (app.status === undefined || (!app.managed && isComing(app))) continue
    list[app.identifier] = {
      Status: app.status,
      ManagementFlags: app.flags,
      HasConfiguration: app.configuration !== undefined,
      HasFeedback: false,
      IsValidated: true,
      ExternalVersionIdentifier: app.present?.storeVersion ?? 0,
    }
    afterLook(holding, app)
  }
  return list
}

/** What InstalledApplicationList asks for. */
interface InstalledQuery {
  identifiers: readonly unknown[] | undefined
  managedOnly: boolean
  /** Keys to tell of each app; all when left out. */
  items: readonly unknown[] | undefined
  /** How many apps the device has besides. */
  samples: number
}

/** The answer to InstalledApplicationList; what is under way goes a step on. */
export function installedList(holding: Holding, query: InstalledQuery): PlistDict[] {
  const { identifiers, managedOnly, items, samples } = query
  const own = [...holding.apps.values()].flatMap((app) => {
    if (managedOnly && !app.managed) return []
    if (identifiers?.includes(app.identifier) === false) return []
    beforeLook(holding, app)
    const entry = describe(app)
    if (isComing(app)) afterLook(holding, app)
    return entry === undefined ? [] : [entry]
  })
  const others = managedOnly ? [] : installedApps(samples)
  const all = [
    ...others.filter(({ Identifier: identifier }) => {
      return !holding.apps.has(identifier as string) && identifiers?.includes(identifier) !== false
    }),
    ...own,
  ]
  return items === undefined ? all : all.map((app) => pick(app, items))
}

function describe(app: App): PlistDict | undefined {
  const isUnderWay = app.status === 'Installing' || app.status === 'Updating'
  const version = app.present ?? (isUnderWay ? app.coming : undefined)
  if (version === undefined) return undefined
  return {
    Identifier: app.identifier,
    Name: app.name,
    Version: version.version,
    ShortVersion: version.shortVersion,
    BundleSize: version.size,
    DynamicSize: 0,
    Installing: isUnderWay,
    AppStoreVendable: version.asset === undefined,
    DeviceBasedVPP: app.licence,
    BetaApp: false,
    AdHocCodeSigned: false,
    HasUpdateAvailable: false,
    IsValidated: true,
    ExternalVersionIdentifier: version.storeVersion,
  }
}

function pick(app: PlistDict, items: readonly unknown[]): PlistDict {
  return Object.fromEntries(Object.entries(app).filter(([key]) => items.includes(key)))
}

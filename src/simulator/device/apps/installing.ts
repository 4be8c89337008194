import type { PlistDict } from '../../../protocol/plist/index.ts'
import { ConnectionLost, MalformedHttp, type DeviceHttp } from '../../wire/device-http.ts'
import { AppError } from '../../../kernel/errors.ts'
import { fail, isAsking, isComing, type App, type AppStatus, type AppVersion } from './app.ts'
import { fetchPackage } from './fetching.ts'
import type { Holding } from './holding.ts'
import type { Manifest } from './manifest.ts'
import type { StoreApp } from './store.ts'

/** What is to be installed, and how. */
export interface InstallRequest {
  source:
    | { kind: 'store'; app: StoreApp; storeId: number | undefined; licence: boolean }
    | { kind: 'enterprise'; manifest: Manifest }
  /** False on Macs unless InstallAsManaged says so. */
  managed: boolean
  flags: number
  configuration: PlistDict | undefined
  attributes: PlistDict | undefined
  /** An app that the person installed becomes managed. */
  takeOver: boolean
}

/** What of a device decides over installations. */
interface InstallPlace {
  supervised: boolean
  isMac: boolean
  /** A user enrollment. */
  isPersonal: boolean
}

/** Apple's RejectionReason, with the code of MCMDMErrorDomain that goes with it. */
export interface Rejection {
  reason:
    | 'AppAlreadyInstalled'
    | 'AppAlreadyQueued'
    | 'CouldNotVerifyAppID'
    | 'ManagementChangeNotSupported'
    | 'Other'
    | 'PurchaseMethodNotSupported'
  code: number
  description: string
}

/** Starts an installation or an update, as InstallApplication asks for it; the state that it is in then, or why not. */
export function install(
  holding: Holding,
  request: InstallRequest,
  place: InstallPlace,
): { app: App; state: AppStatus } | Rejection {
  const { identifier, name, version } = targetOf(request)
  const known = holding.apps.get(identifier)
  const rejection = objection(request, place, known)
  if (rejection !== undefined) return rejection
  const app = known ?? blank(identifier, name)
  app.name = name
  if (app.present === undefined || app.managed || place.isMac) begin(app, request, place, holding, version)
  else takeOver(app, place)
  remember(app, request)
  holding.apps.set(identifier, app)
  return { app, state: app.status ?? 'Managed' }
}

/** Fetches the packages of what is under way; what cannot be fetched, or is another one than was promised, fails. */
export async function fetchPackages({ apps, options }: Holding, http: DeviceHttp): Promise<void> {
  for (const app of apps.values()) {
    const { coming } = app
    if (coming?.asset === undefined || coming.sha256 !== undefined || !isComing(app)) continue
    try {
      Object.assign(coming, await fetchPackage(http, coming.asset, options.download ?? 'whole'))
    } catch (error) {
      const isServers = error instanceof AppError || error instanceof MalformedHttp
      if (isServers) fail(app, error.message)
      // The server is away: the next session tries again.
      else if (!(error instanceof ConnectionLost)) throw error
    }
  }
}

/** An app that is not there yet. */
export function blank(identifier: string, name: string): App {
  return {
    identifier,
    name,
    present: undefined,
    coming: undefined,
    status: undefined,
    managed: false,
    flags: 0,
    configuration: undefined,
    attributes: undefined,
    storeId: undefined,
    licence: false,
    problem: undefined,
  }
}

function targetOf({ source }: InstallRequest): { identifier: string; name: string; version: AppVersion } {
  if (source.kind === 'store') {
    const { identifier, name, version, storeVersion } = source.app
    return { identifier, name, version: { version, shortVersion: version, storeVersion, size: 10_000_000 } }
  }
  const { identifier, title, version, asset } = source.manifest
  return {
    identifier,
    name: title,
    version: { version, shortVersion: version, storeVersion: 0, size: 0, asset },
  }
}

function objection(
  { source, takeOver: isTaking }: InstallRequest,
  place: InstallPlace,
  known: App | undefined,
): Rejection | undefined {
  const said = (reason: Rejection['reason'], code: number, description: string) => ({
    reason,
    code,
    description,
  })
  const isStore = source.kind === 'store'
  if (isStore && source.licence && source.app.isUnlicensed === true) {
    return said('Other', 12064, `No license for ${source.app.identifier} could be found.`)
  }
  if (isStore && !source.licence && place.isPersonal) {
    return said('PurchaseMethodNotSupported', 12035, 'The app cannot be purchased in this way.')
  }
  if (known === undefined) return undefined
  if (isComing(known) || isAsking(known))
    return said('AppAlreadyQueued', 12025, 'The app is already scheduled.')
  if (known.present === undefined || known.managed || place.isMac) return undefined
  if (!isTaking) return said('AppAlreadyInstalled', 12025, 'The app is already installed.')
  if (!place.isPersonal) return undefined
  return said('ManagementChangeNotSupported', 12025, 'The management of the app cannot be changed.')
}

/** A new installation, or an update of what MDM has installed. */
function begin(
  app: App,
  { source, managed }: InstallRequest,
  place: InstallPlace,
  holding: Holding,
  version: AppVersion,
): void {
  app.managed = managed
  app.problem = undefined
  if (source.kind === 'store') {
    app.storeId = source.storeId
    app.licence = source.licence
    if (app.present?.storeVersion === version.storeVersion) {
      app.status = managed ? 'Managed' : undefined
      return
    }
  }
  app.coming = version
  const question = questionOf(source, app.present !== undefined, place, holding)
  app.status = question ?? (app.present === undefined ? 'Queued' : 'Updating')
}

/** What the device asks its person first. */
function questionOf(
  source: InstallRequest['source'],
  isUpdate: boolean,
  { supervised, isMac }: InstallPlace,
  { options }: Holding,
): AppStatus | undefined {
  if (isMac) return undefined
  if (!supervised) return isUpdate ? 'PromptingForUpdate' : 'Prompting'
  if (source.kind !== 'store' || source.licence) return undefined
  if (source.app.isPaid === true) return 'NeedsRedemption'
  return options.account === true ? undefined : 'PromptingForLogin'
}

function takeOver(app: App, { supervised }: InstallPlace): void {
  app.status = supervised ? 'Managed' : 'PromptingForManagement'
  app.managed = supervised
}

/** What an installation brings with it; what it leaves out stays as it is, but for the flags. */
function remember(app: App, { flags, configuration, attributes }: InstallRequest): void {
  app.flags = flags
  app.configuration = configuration ?? app.configuration
  app.attributes = attributes ?? app.attributes
}

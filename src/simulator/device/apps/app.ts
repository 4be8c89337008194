import { wordSet } from '../../../kernel/words.ts'
import type { PlistDict } from '../../../protocol/plist/index.ts'
import type { PackageAsset } from './manifest.ts'

/** What ManagedApplicationList says of an app. https://developer.apple.com/documentation/devicemanagement/managed-application-list-command */
export type AppStatus =
  | 'Queued'
  | 'NeedsRedemption'
  | 'Prompting'
  | 'PromptingForLogin'
  | 'PromptingForUpdate'
  | 'PromptingForManagement'
  | 'Installing'
  | 'Updating'
  | 'Managed'
  | 'ManagedButUninstalled'
  /** Told a single time, as all that follow. */
  | 'UserInstalledApp'
  | 'UserRejected'
  | 'UpdateRejected'
  | 'ManagementRejected'
  | 'Failed'

/** What is on a device of an app, or comes to it. */
export interface AppVersion {
  version: string
  shortVersion: string
  /** The version's number in the App Store; 0 for others. */
  storeVersion: number
  /** Bytes. */
  size: number
  /** The package of an enterprise app; `sha256` in hex once it was fetched. */
  asset?: PackageAsset
  sha256?: string
}

/** An app that MDM or the person brought. */
export interface App {
  readonly identifier: string
  name: string
  /** What is on the device; undefined: nothing yet, or nothing any more. */
  present: AppVersion | undefined
  /** What an installation that is under way brings. */
  coming: AppVersion | undefined
  /** Undefined: MDM has nothing to do with it. */
  status: AppStatus | undefined
  /** MDM manages it, or will. On Macs MDM installs others too. */
  managed: boolean
  /** ManagementFlags: 1 goes with the enrollment, 4 no backup. */
  flags: number
  configuration: PlistDict | undefined
  attributes: PlistDict | undefined
  storeId: number | undefined
  /** Installed by a licence of the device, so without the person's account. */
  licence: boolean
  /** Why an installation failed, for who wonders. */
  problem: string | undefined
}

/** The apps of a device by bundle id, without those that every device has. */
export type Apps = Map<string, App>

const TOLD_ONCE = wordSet('UserInstalledApp UserRejected UpdateRejected ManagementRejected Failed')
const WAITING = wordSet('Queued Installing Updating')
const ASKING = wordSet(
  'Prompting PromptingForLogin PromptingForUpdate PromptingForManagement NeedsRedemption',
)

/** Whether an app waits for its person. */
export function isAsking({ status }: App): boolean {
  return status !== undefined && ASKING.has(status)
}

/** Whether an app is on its way. */
export function isComing({ status }: App): boolean {
  return status !== undefined && WAITING.has(status)
}

/** The person says yes to what the device asks about this app. */
export function accept(app: App): void {
  if (app.status === 'PromptingForManagement') {
    app.status = 'Managed'
    app.managed = true
  } else if (isAsking(app)) {
    app.status = app.present === undefined ? 'Queued' : 'Updating'
  }
}

/** The person says no. */
export function decline(app: App): void {
  if (!isAsking(app)) return
  if (app.status === 'PromptingForManagement') app.status = 'ManagementRejected'
  else app.status = app.present === undefined ? 'UserRejected' : 'UpdateRejected'
  app.coming = undefined
}

/** An installation cannot go on. */
export function fail(app: App, problem: string): void {
  app.status = 'Failed'
  app.coming = undefined
  app.problem = problem
}

/** What was under way has come to its end. */
function finish(app: App): void {
  app.present = app.coming ?? app.present
  app.coming = undefined
  app.problem = undefined
  app.status = app.managed ? 'Managed' : undefined
}

/** One step on: what was told once is over, what waited starts, what was under way ends, once its package is there. */
export function moveOn(apps: Apps, app: App): void {
  if (app.status === 'Queued') app.status = 'Installing'
  else if (app.status === 'Installing' || app.status === 'Updating') {
    if (app.coming?.asset === undefined || app.coming.sha256 !== undefined) finish(app)
  } else if (app.status !== undefined && TOLD_ONCE.has(app.status)) settle(apps, app)
}

/** After it was told once: what is left is what was there before. */
function settle(apps: Apps, app: App): void {
  if (app.present === undefined) apps.delete(app.identifier)
  else if (app.status === 'ManagementRejected' || app.status === 'UserInstalledApp') release(app)
  else app.status = app.managed ? 'Managed' : undefined
}

/** MDM has nothing to do with it any more. */
function release(app: App): void {
  app.managed = false
  app.status = undefined
  app.coming = undefined
  app.configuration = undefined
  app.attributes = undefined
  app.flags = 0
}

/** The enrollment is over: what was to go with it goes, the rest is the person's. */
export function releaseAll(apps: Apps): void {
  for (const [identifier, app] of apps) {
    const goes = app.status !== undefined && (app.flags & 1) !== 0
    if (goes || app.present === undefined) apps.delete(identifier)
    else release(app)
  }
}

import { AppError } from '../../../kernel/errors.ts'
import { isDict, type PlistDict } from '../../../protocol/plist/index.ts'
import { ConnectionLost, MalformedHttp, type DeviceHttp } from '../../wire/device-http.ts'
import { urlOf } from '../../wire/strict-reading.ts'
import type { App } from '../apps/app.ts'
import { afterLook, askStore } from '../apps/holding.ts'
import { fetchManifest } from '../apps/fetching.ts'
import { install, type InstallRequest, type Rejection } from '../apps/installing.ts'
import { installedList, managedList } from '../apps/lists.ts'
import { manifestOf, type Manifest } from '../apps/manifest.ts'
import { storeAppNamed } from '../apps/store.ts'
import { acknowledged, malformed, refused, type Answer } from './answers.ts'
import { isMac, type DeviceSelf } from './self.ts'

type Handler = (command: PlistDict, self: DeviceSelf) => Answer

/** Commands for apps that need nothing from outside of the device. */
export const APP_COMMANDS: Readonly<Record<string, Handler>> = {
  ManagedApplicationList: (command, { holding }) =>
    acknowledged({ ManagedApplicationList: managedList(holding, listOf(command, 'Identifiers')) }),
  InstalledApplicationList: (command, { holding, appCount, isPersonal }) => {
    const query = {
      identifiers: listOf(command, 'Identifiers'),
      items: listOf(command, 'Items'),
      managedOnly: isPersonal || command['ManagedAppsOnly'] === true,
      samples: appCount,
    }
    return acknowledged({ InstalledApplicationList: installedList(holding, query) })
  },
  RemoveApplication: removeApplication,
  ValidateApplications: () => acknowledged(),
  ManagedApplicationConfiguration: (command, self) =>
    ofManaged(command, self, 'ApplicationConfigurations', ({ configuration }) =>
      configuration === undefined ? {} : { Configuration: configuration },
    ),
  ManagedApplicationAttributes: (command, self) =>
    ofManaged(command, self, 'ApplicationAttributes', ({ attributes }) =>
      attributes === undefined ? {} : { Attributes: attributes },
    ),
  ManagedApplicationFeedback: (command, self) =>
    ofManaged(command, self, 'ManagedApplicationFeedback', () => ({})),
}

/**
 * InstallApplication: of the App Store by number or bundle id, or of a manifest, which is fetched before the answer.
 * https://developer.apple.com/documentation/devicemanagement/install-application-command
 */
export async function installApplication(
  command: PlistDict,
  self: DeviceSelf,
  http: DeviceHttp,
): Promise<Answer> {
  const named = ['iTunesStoreID', 'Identifier', 'ManifestURL'].filter((key) => command[key] !== undefined)
  if (named.length !== 1) return malformed
  if (command['ManifestURL'] !== undefined) return installEnterprise(command, self, http)
  const { iTunesStoreID: id, Identifier: identifier, Options: options } = command
  if (id === undefined && typeof identifier !== 'string') return malformed
  if (id !== undefined && typeof id !== 'number') return malformed
  const method = isDict(options) ? (options['PurchaseMethod'] ?? 0) : 0
  if (method !== 0 && method !== 1) return malformed
  const app = id === undefined ? storeAppNamed(identifier as string) : askStore(self.holding, id)
  if (app === undefined) {
    const description = 'The iTunes Store ID of the app could not be validated.'
    return rejected({ reason: 'CouldNotVerifyAppID', code: 12023, description }, self)
  }
  const licence = method === 1
  return start(command, self, { kind: 'store', app, storeId: id, licence })
}

/** InstallEnterpriseApplication of Macs: a manifest inside of the command, or its address. */
export async function installEnterprise(
  command: PlistDict,
  self: DeviceSelf,
  http: DeviceHttp,
): Promise<Answer> {
  const { Manifest: inside, ManifestURL: url } = command
  if ((inside === undefined) === (url === undefined)) return malformed
  const reject = (code: number, description: string) => rejected({ reason: 'Other', code, description }, self)
  let manifest: Manifest
  try {
    if (inside !== undefined) manifest = isDict(inside) ? manifestOf(inside) : malformedManifest()
    else manifest = await fetchManifest(http, urlOf(command, 'ManifestURL', 'the command'))
  } catch (error) {
    if (error instanceof ConnectionLost || error instanceof MalformedHttp) return reject(12024, error.message)
    if (!(error instanceof AppError)) throw error
    return reject(error.message.endsWith('is not https') ? 12034 : 12033, error.message)
  }
  if (manifest.isBundle) return reject(12032, 'There are too many apps in the manifest.')
  return start(command, self, { kind: 'enterprise', manifest })
}

function malformedManifest(): never {
  throw new AppError('message_invalid', 'Manifest is not a dictionary')
}

function start(command: PlistDict, self: DeviceSelf, source: InstallRequest['source']): Answer {
  const { ManagementFlags: flags = 0, Configuration: configuration, Attributes: attributes } = command
  if (![0, 1, 4, 5].includes(flags as number)) return malformed
  if (configuration !== undefined && !isDict(configuration)) return malformed
  if (attributes !== undefined && !isDict(attributes)) return malformed
  const isTaking = command['ChangeManagementState']
  if (isTaking !== undefined && isTaking !== 'Managed') return malformed
  const { facts, isPersonal, holding } = self
  const request: InstallRequest = {
    source,
    managed: !isMac(self) || command['InstallAsManaged'] === true,
    flags: flags as number,
    configuration,
    attributes,
    takeOver: isTaking === 'Managed',
  }
  const result = install(holding, request, { supervised: facts.supervised, isMac: isMac(self), isPersonal })
  if ('reason' in result) return rejected(result, self)
  return acknowledged({ Identifier: result.app.identifier, State: result.state })
}

/** Macs give no reasons. */
function rejected({ reason, code, description }: Rejection, self: DeviceSelf): Answer {
  return refused(code, description, { RejectionReason: isMac(self) ? 'Other' : reason })
}

function removeApplication(command: PlistDict, { holding }: DeviceSelf): Answer {
  const identifier = command['Identifier']
  if (typeof identifier !== 'string') return malformed
  const app = holding.apps.get(identifier)
  if (app?.status === undefined || !app.managed)
    return refused(12029, `The app “${identifier}” is not managed.`)
  if (app.status === 'Installing' || app.status === 'Updating') {
    afterLook(holding, app)
    return refused(12036, `The app “${identifier}” cannot be removed in its current state.`)
  }
  holding.apps.delete(identifier)
  return acknowledged()
}

/** One entry for each of the managed apps that were asked for. */
function ofManaged(
  command: PlistDict,
  { holding }: DeviceSelf,
  key: string,
  tell: (app: App) => PlistDict,
): Answer {
  const identifiers = listOf(command, 'Identifiers')
  if (identifiers === undefined) return malformed
  const asked = [...holding.apps.values()].filter(
    ({ identifier, managed }) => managed && identifiers.includes(identifier),
  )
  return acknowledged({ [key]: asked.map((app) => ({ Identifier: app.identifier, ...tell(app) })) })
}

function listOf(command: PlistDict, key: string): readonly unknown[] | undefined {
  const value = command[key]
  return Array.isArray(value) ? value : undefined
}

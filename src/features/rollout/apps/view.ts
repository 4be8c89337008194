import { datesOf } from '../../../kernel/schema.ts'
import type { AppView } from './queries.ts'
import type { AppPackage, AppRevision } from './store.ts'

/** An app as the API tells it; where a hosted package is fetched is told to devices alone. */
export function renderApp({ newest, version: _version, ...app }: AppView) {
  return {
    ...app,
    identifier: newest.package?.identifier ?? app.identifier,
    ...renderSource(newest),
    warnings: warningsOf({ ...app, newest }),
    ...datesOf(app),
  }
}

/** A revision as the API tells it. */
export function renderRevision(revision: AppRevision, released: number) {
  return {
    revision: revision.revision,
    is_released: revision.revision === released,
    ...renderSource(revision),
    created_at: revision.created_at.toISOString(),
  }
}

function renderSource({ manifest_url, options, package: own }: AppRevision) {
  return { manifest_url, package: own && renderPackage(own), ...options }
}

function renderPackage(own: AppPackage) {
  const { size, version, short_version, min_os_version, display_name, platforms } = own
  return {
    size,
    sha256: own.sha256.toString('hex'),
    version,
    short_version,
    min_os_version,
    display_name,
    platforms,
    uploaded_at: own.created_at.toISOString(),
  }
}

function warningsOf({ kind, newest }: Pick<AppView, 'kind' | 'newest'>) {
  const { options, manifest_url, package: own } = newest
  const warnings: { path: string; message: string }[] = []
  if (kind === 'enterprise' && manifest_url === null && own === null) {
    warnings.push({
      path: 'package',
      message: 'There is neither a manifest nor a package, so nobody gets it.',
    })
  }
  if (kind === 'enterprise' && options.device_licence) {
    warnings.push({
      path: 'device_licence',
      message: 'Licences are for store apps; it changes nothing here.',
    })
  }
  if (kind === 'store' && !options.device_licence) {
    const message =
      'The device asks for an Apple Account; with a licence of the device it comes without anybody.'
    warnings.push({ path: 'device_licence', message })
  }
  return warnings
}

import { parsePlist, type PlistDict } from '../../../protocol/plist/index.ts'
import { dictOf, refuse, textOf, textsOf, urlOf } from '../../wire/strict-reading.ts'

/** The package that a manifest names. */
export interface PackageAsset {
  url: string
  /** Hashes of its pieces, in hex; `size`: of each piece, in bytes, the last one may be shorter. Undefined: one of the whole. */
  hashes: { algorithm: 'md5' | 'sha256'; size: number | undefined; values: readonly string[] } | undefined
}

/** What a manifest says. */
export interface Manifest {
  identifier: string
  version: string
  title: string
  asset: PackageAsset
  /** More than one app. */
  isBundle: boolean
}

const ASSET = 'software-package'
const HEX = { md5: /^[0-9a-f]{32}$/i, sha256: /^[0-9a-f]{64}$/i }

/**
 * Reads the manifest of an enterprise app and checks its form; refuses `message_invalid` with the part that is wrong.
 * https://developer.apple.com/documentation/devicemanagement/manifesturl
 */
export function readManifest(bytes: Uint8Array): Manifest {
  return manifestOf(dictOf(parsePlist(bytes), 'the manifest'))
}

/** A manifest that came inside of a command. */
export function manifestOf(top: PlistDict): Manifest {
  const items = top['items']
  if (!Array.isArray(items) || items.length === 0) return refuse('the manifest: items is not a filled array')
  const item = dictOf(items[0], 'the first item of the manifest')
  const metadata = dictOf(item['metadata'], 'metadata of the manifest')
  if (metadata['kind'] !== 'software') refuse('metadata: kind is not software')
  const identifier = textOf(metadata, 'bundle-identifier', 'metadata')
  if (identifier.length < 2) refuse('metadata: bundle-identifier is too short')
  return {
    identifier,
    version: textOf(metadata, 'bundle-version', 'metadata'),
    title: textOf(metadata, 'title', 'metadata'),
    asset: readAsset(item),
    isBundle: items.length > 1,
  }
}

function readAsset(item: PlistDict): PackageAsset {
  const assets = item['assets']
  if (!Array.isArray(assets)) return refuse('the manifest: assets is not an array')
  const all = assets.map((asset) => dictOf(asset, 'an asset of the manifest'))
  for (const asset of all) urlOf(asset, 'url', textOf(asset, 'kind', 'an asset'))
  const found = all.filter((asset) => asset['kind'] === ASSET)
  const [asset] = found
  if (asset === undefined || found.length > 1) return refuse(`${found.length} assets are a ${ASSET}`)
  return { url: textOf(asset, 'url', ASSET), hashes: readHashes(asset, 'sha256') ?? readHashes(asset, 'md5') }
}

function readHashes(asset: PlistDict, algorithm: 'md5' | 'sha256'): PackageAsset['hashes'] {
  const size = asset[`${algorithm}-size`]
  const values = textsOf(asset, `${algorithm}s`, ASSET)
  if (values.length === 0 && size === undefined) return undefined
  if (values.length === 0) return refuse(`${ASSET}: ${algorithm}-size without ${algorithm}s`)
  if (values.some((value) => !HEX[algorithm].test(value)))
    refuse(`${ASSET}: ${algorithm}s holds no ${algorithm}`)
  if (size === undefined && values.length === 1) return { algorithm, size: undefined, values }
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 1) {
    return refuse(`${ASSET}: ${algorithm}-size is not a size`)
  }
  return { algorithm, size, values }
}

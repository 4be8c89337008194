import type { IpaReader } from '../../../protocol/ipa/index.ts'
import { packageUrlOf } from './facts.ts'
import type { AppPackage } from './store.ts'

/** Manifests that are kept in memory; each has some kilobytes. */
const MOST_MANIFESTS = 200
const SHA256_BYTES = 32

/** Makes the manifests of packages, which are kept in memory: they change no more than packages do. */
export function createManifests({ ipa, publicUrl }: { ipa: IpaReader; publicUrl: string }) {
  const manifests = new Map<string, Promise<string>>()
  return (own: AppPackage): Promise<string> => {
    const known = manifests.get(own.key)
    if (known !== undefined) return known
    const [oldest] = manifests.size >= MOST_MANIFESTS ? manifests.keys() : []
    if (oldest !== undefined) manifests.delete(oldest)
    const made = ipa.manifest({
      url: packageUrlOf(publicUrl, own),
      identifier: own.identifier,
      version: own.version,
      title: own.display_name,
      partBytes: own.part_bytes,
      partSha256s: partsOf(own.part_sha256s),
    })
    manifests.set(own.key, made)
    made.catch(() => manifests.delete(own.key))
    return made
  }
}

function partsOf(joined: Buffer): string[] {
  const count = joined.length / SHA256_BYTES
  return Array.from({ length: count }, (_, at) =>
    joined.toString('hex', at * SHA256_BYTES, (at + 1) * SHA256_BYTES),
  )
}

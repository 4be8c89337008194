import { build } from 'plist'

/** What a manifest says of a package. */
export interface ManifestFacts {
  url: string
  identifier: string
  version: string
  title: string
  /** SHA-256 of each part of so many bytes, in hexadecimal. */
  partBytes: number
  partSha256s: string[]
}

/** The manifest by which devices fetch and check an app (Apple: ManifestURL), as an XML property list. */
export function buildManifest(facts: ManifestFacts): string {
  const { url, identifier, version, title, partBytes, partSha256s } = facts
  const asset = { kind: 'software-package', 'sha256-size': partBytes, sha256s: partSha256s, url }
  const metadata = { 'bundle-identifier': identifier, 'bundle-version': version, kind: 'software', title }
  return build({ items: [{ assets: [asset], metadata }] })
}

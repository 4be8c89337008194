const DIGITS = /^\d{1,15}/

/**
 * Compares versions of apps (CFBundleVersion, CFBundleShortVersionString): negative, 0 or positive. Their parts are numbers, as
 * Apple asks; of a part that is more than a number, what follows the number is compared as text. A missing part is 0.
 */
export function compareAppVersions(a: string, b: string): number {
  const [left, right] = [a.trim().split('.'), b.trim().split('.')]
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const difference = compareParts(left[at] ?? '0', right[at] ?? '0')
    if (difference !== 0) return difference
  }
  return 0
}

function compareParts(a: string, b: string): number {
  const [left, right] = [DIGITS.exec(a)?.[0] ?? '', DIGITS.exec(b)?.[0] ?? '']
  const difference = Number(left) - Number(right)
  if (difference !== 0) return difference
  const [restOfA, restOfB] = [a.slice(left.length), b.slice(right.length)]
  return restOfA < restOfB ? -1 : restOfA > restOfB ? 1 : 0
}

/** The versions of an app, as far as they are told: CFBundleVersion and CFBundleShortVersionString. */
export interface AppVersions {
  version: string | null
  short_version: string | null
}

/** Whether an app that a device lists is the wanted one or a later one: by its short version first, then by its version. */
export function isAtLeast(listed: AppVersions, wanted: AppVersions): boolean {
  if (isSame(listed, wanted)) return true
  if (listed.short_version !== null && wanted.short_version !== null) {
    const difference = compareAppVersions(listed.short_version, wanted.short_version)
    if (difference !== 0) return difference > 0
  }
  if (listed.version !== null && wanted.version !== null) {
    return compareAppVersions(listed.version, wanted.version) >= 0
  }
  return listed.short_version !== null && wanted.short_version !== null
}

/** Some devices tell one of the two in both places, or the short one alone. */
function isSame(listed: AppVersions, wanted: AppVersions): boolean {
  const told = [listed.version, listed.short_version].filter((each) => each !== null)
  const known = [wanted.version, wanted.short_version]
  return told.length > 0 && told.every((each) => each === told[0]) && known.includes(told[0] ?? null)
}

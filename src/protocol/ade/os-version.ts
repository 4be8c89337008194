const OS_VERSION = /^(\d{1,5}(?:\.\d{1,5}){0,3})(?: ?\(([a-z])\))?$/

/** Whether a text is an OS version as Apple writes them: `18.1`, `17.7.2`, `16.5.1 (c)`. */
export function isOsVersion(text: string): boolean {
  return OS_VERSION.test(text)
}

/**
 * Compares OS versions: negative, 0 or positive. Missing numbers are 0; a rapid security response `(b)` comes after `(a)`,
 * which comes after none. A text that is no version is before all others.
 */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [partsOf(a), partsOf(b)]
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

const EXTRA_AT = 4

/** Four numbers and the place of the extra's letter in the alphabet. */
function partsOf(text: string): number[] {
  const [, numbers, extra] = OS_VERSION.exec(text.trim()) ?? []
  if (numbers === undefined) return [-1]
  const parts = numbers.split('.').map(Number)
  while (parts.length < EXTRA_AT) parts.push(0)
  return [...parts, extra === undefined ? 0 : extra.charCodeAt(0) - 'a'.charCodeAt(0) + 1]
}

/**
 * The 403 that sends a device to its software update first (Apple: `com.apple.softwareupdate.required`). `osVersion` must
 * be newer than the device's, and available for it. `message` is shown to the person.
 */
export function softwareUpdateRequired(options: {
  osVersion: string
  buildVersion?: string
  message?: string
}): { status: 403; contentType: 'application/json'; body: string } {
  const { osVersion, buildVersion, message } = options
  const body = JSON.stringify({
    code: 'com.apple.softwareupdate.required',
    description: `The minimum OS version is ${osVersion}.`,
    ...(message !== undefined && { message }),
    details: { OSVersion: osVersion, ...(buildVersion !== undefined && { BuildVersion: buildVersion }) },
  })
  return { status: 403, contentType: 'application/json', body }
}

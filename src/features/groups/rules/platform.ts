/** The systems that a rule may ask for. */
export const PLATFORMS = ['ios', 'ipados', 'macos', 'tvos', 'visionos', 'watchos'] as const

/** What Apple's product and model names begin with, and the system that such a device has. */
const FAMILIES: readonly (readonly [beginning: string, platform: (typeof PLATFORMS)[number]])[] = [
  ['iphone', 'ios'],
  ['ipod', 'ios'],
  ['ipad', 'ipados'],
  ['appletv', 'tvos'],
  ['apple tv', 'tvos'],
  ['realitydevice', 'visionos'],
  ['apple vision', 'visionos'],
  ['watch', 'watchos'],
  ['apple watch', 'watchos'],
  ['mac', 'macos'],
  ['imac', 'macos'],
  ['xserve', 'macos'],
  ['virtualmac', 'macos'],
]

/** The system of a device by its ProductName or its Model; '' when they are none of Apple's known ones, null when it told neither. */
export function platformOf(productName: string | null, modelName: string | null): string | null {
  const names = [productName, modelName].flatMap((name) => (name === null ? [] : [name.toLowerCase()]))
  if (names.length === 0) return null
  for (const name of names) {
    const family = FAMILIES.find(([beginning]) => name.startsWith(beginning))
    if (family !== undefined) return family[1]
  }
  return ''
}

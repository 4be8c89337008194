import { compareVersions, type MachineInfo } from '../../../protocol/ade/index.ts'

/** Builds of iOS and iPadOS before 17 begin with their major version plus 4, and a letter for the minor one: `20D47` is 16.3. */
const BUILD = /^(\d{2})([A-Z])\d/
const MOBILE = /^(iPhone|iPad|iPod)\d/
const BUILD_OFFSET = 4

/** The OS version of a device, as far as it can be known: before iOS 17 devices tell only their build. */
function osVersionOf(info: Pick<MachineInfo, 'osVersion' | 'osVersionExtra' | 'product' | 'version'>) {
  const { osVersion, osVersionExtra, product, version } = info
  if (osVersion !== undefined)
    return osVersionExtra === undefined ? osVersion : `${osVersion} ${osVersionExtra}`
  const [, major, minor = 'A'] = BUILD.exec(version) ?? []
  if (major === undefined || !MOBILE.test(product)) return undefined
  return `${Number(major) - BUILD_OFFSET}.${minor.charCodeAt(0) - 'A'.charCodeAt(0)}`
}

/** Whether a device has at least this OS version, and the one that it has; a device that cannot tell has not. */
export function meetsMinimum(
  info: Parameters<typeof osVersionOf>[0],
  minimum: string,
): { isMet: boolean; osVersion: string | null } {
  const osVersion = osVersionOf(info) ?? null
  return { isMet: osVersion !== null && compareVersions(osVersion, minimum) >= 0, osVersion }
}

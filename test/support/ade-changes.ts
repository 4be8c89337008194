import type { AdeWorld } from './ade-world.ts'

/** So many made-up serial numbers. */
export const serials = (count: number) =>
  Array.from({ length: count }, (_, index) => `SN${String(index).padStart(6, '0')}`)

/** Changes at Apple that were answered, as `METHOD /path` with how many devices each was about. */
export function changes(world: AdeWorld): string[] {
  const isChange = ({ method, path }: { method: string; path: string }) =>
    path === '/profile/devices' || (method === 'POST' && path === '/profile')
  return world.fake.calls
    .filter((call) => isChange(call) && call.status !== 401)
    .map(({ method, path, serialNumbers }) => `${method} ${path} ${serialNumbers.length}`)
}

import { ApiProblem, type ApiClient } from './client.ts'
import { UsageError, type Input, type Thing, type Verb } from './verb.ts'

type Item = Readonly<Record<string, unknown>>

/** Where things of a kind are listed, and under which members one may know them, the surest first. */
interface Listing {
  path: string
  /** The member that the API wants. */
  id: string
  names: readonly string[]
  /** The list is long and can be searched; the others are read whole. */
  searched: boolean
  /** Which are meant of several that have the same name, as they are listed. */
  meant?: (items: readonly Item[]) => readonly Item[]
}

const LISTINGS: Readonly<Record<Thing, Listing>> = {
  device: {
    path: '/devices',
    id: 'id',
    names: ['serial_number', 'udid', 'device_name'],
    searched: true,
    meant: livingDevices,
  },
  'serial number': { path: '/ade-devices', id: 'serial_number', names: [], searched: true },
  user: { path: '/users', id: 'id', names: ['user_name', 'email', 'display_name'], searched: true },
  attempt: {
    path: '/enrollment-attempts',
    id: 'id',
    names: ['serial_number'],
    searched: true,
    // They are listed newest first.
    meant: (items) => items.slice(0, 1),
  },
  command: { path: '/commands', id: 'uuid', names: [], searched: true },
  policy: { path: '/enrollment-policies', id: 'id', names: ['name'], searched: false },
  group: { path: '/groups', id: 'id', names: ['name'], searched: false },
  'ADE server': { path: '/ade-servers', id: 'id', names: ['name'], searched: false },
  link: { path: '/enrollment-links', id: 'id', names: [], searched: false },
  'API token': { path: '/api-tokens', id: 'id', names: ['name'], searched: false },
  'sign-in source': { path: '/sign-in-sources', id: 'id', names: ['name'], searched: false },
  topic: { path: '/push-certificates', id: 'topic', names: [], searched: false },
  'push certificate request': { path: '/push-certificate-requests', id: 'id', names: [], searched: false },
  profile: { path: '/profiles', id: 'id', names: ['name', 'identifier'], searched: false },
  app: { path: '/apps', id: 'id', names: ['name', 'identifier'], searched: false },
  approval: { path: '/approvals', id: 'id', names: [], searched: false },
  webhook: { path: '/webhooks', id: 'id', names: ['name', 'url'], searched: false },
  rollout: { path: '/rollouts', id: 'id', names: [], searched: false },
}

/** UUIDs and the UDIDs of Apple's devices, with the user of a channel: nobody types part of a name that looks so. */
const WHOLE_ID =
  /^([0-9a-f]{8}-[0-9a-f]{16}|[0-9a-f]{40}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})(:.{1,200})?$/i
const LARGEST_PAGE = '1000'
const MOST_CANDIDATES = 5

/**
 * Puts ids in the place of what people call things: a name, a serial number, or the beginning of
 * one of these or of an id that no other has.
 * What names nothing stays as it is. Throws UsageError where several may be meant.
 */
export async function resolveReferences(verb: Verb, input: Input, api: ApiClient): Promise<void> {
  const named = [
    ...(verb.arguments ?? []).map((argument) => ({ field: argument.field ?? argument.name, ...argument })),
    ...Object.entries(verb.options ?? {}).map(([name, option]) => ({
      field: option.field ?? name.replaceAll('-', '_'),
      ...option,
    })),
  ]
  for (const { of: thing, to, field } of named) {
    if (thing === undefined) continue
    const target: Record<string, unknown> = input[to]
    const given = target[field]
    if (Array.isArray(given)) {
      target[field] = await Promise.all(given.map((text) => resolve(thing, String(text), api, verb)))
    } else if (typeof given === 'string' && given !== 'none') {
      target[field] = await resolve(thing, given, api, verb)
    }
  }
}

async function resolve(thing: Thing, given: string, api: ApiClient, verb: Verb): Promise<string> {
  if (WHOLE_ID.test(given)) return given
  const { id, names, meant = (same) => same } = LISTINGS[thing]
  const items = await candidates(thing, given, api)
  const wanted = given.toLowerCase()
  const has = (member: string) => (item: Item) => textOf(item, member).toLowerCase() === wanted
  const exact = items.find((item) => item[id] === given)
  if (exact !== undefined) return given
  for (const member of [id, ...names]) {
    const found = meant(items.filter(has(member)))
    if (found.length === 1) return textOf(found[0], id)
    if (found.length > 1) throw ambiguous(thing, given, found, verb)
  }
  const begun = items.filter((item) =>
    [id, ...names].some((member) => textOf(item, member).toLowerCase().startsWith(wanted)),
  )
  if (begun.length === 1) return textOf(begun[0], id)
  if (begun.length > 1) throw ambiguous(thing, given, begun, verb)
  // The server says best that it knows no such thing.
  return given
}

/** Of several enrollments with one serial number the living device, not those that have ended or its users' channels. */
function livingDevices(items: readonly Item[]): readonly Item[] {
  const living = items.filter((item) => item['state'] === 'enrolled' && !textOf(item, 'id').includes(':'))
  return living.length > 0 ? living : items
}

async function candidates(thing: Thing, given: string, api: ApiClient): Promise<Item[]> {
  const { path, searched } = LISTINGS[thing]
  const query: Record<string, string> = { limit: LARGEST_PAGE, ...(searched && { search: given }) }
  const items: Item[] = []
  for (;;) {
    const page = (await read(api, path, query)) as { items: Item[]; next_cursor: string | null } | undefined
    for (const item of page?.items ?? []) items.push(item)
    // What many have in common names nothing; the first page of a search tells that.
    if (page === undefined || page.next_cursor === null || searched) return items
    query['cursor'] = page.next_cursor
  }
}

/** A role that may not read a list may still name things by their ids. */
async function read(api: ApiClient, path: string, query: Record<string, string>): Promise<unknown> {
  try {
    return await api({ method: 'GET', path, query })
  } catch (error) {
    if (error instanceof ApiProblem && error.problem.status === 403) return undefined
    throw error
  }
}

function ambiguous(thing: Thing, given: string, found: readonly Item[], verb: Verb): UsageError {
  const { id, names } = LISTINGS[thing]
  const shown = found.slice(0, MOST_CANDIDATES).map((item) =>
    [id, ...names]
      .map((member) => textOf(item, member))
      .filter(Boolean)
      .join(' '),
  )
  const more = found.length > MOST_CANDIDATES ? [`and ${found.length - MOST_CANDIDATES} more`] : []
  const lines = [...shown, ...more].map((line) => `  ${line}`)
  return new UsageError(`${JSON.stringify(given)} may be any of these ${thing}s:\n${lines.join('\n')}`, verb)
}

function textOf(item: Item | undefined, member: string): string {
  const value = item?.[member]
  return typeof value === 'string' ? value : ''
}

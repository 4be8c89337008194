import commands from './commands.json' with { type: 'json' }
import { ADDITIONS, REMOVALS } from './changes.ts'
import { SYSTEMS, type CommandType, type Key, type SupportedOn } from './types.ts'

/** Keys that any command may have. */
const EVERYWHERE: readonly Key[] = [{ key: 'RequestRequiresNetworkTether', type: 'boolean' }]

const catalogue = new Map(
  (commands as unknown as readonly CommandType[]).map((type) => [type.request_type, complete(type)]),
)

/** A command of Apple's schema; undefined for a name that it does not have. */
export function findCommandType(requestType: string): CommandType | undefined {
  return catalogue.get(requestType)
}

/** Every command of Apple's schema, by name. */
export function listCommandTypes(): CommandType[] {
  return [...catalogue.values()]
}

function complete(type: CommandType): CommandType {
  const keys = completeKeys(type.keys ?? [], type.request_type)
  return { ...type, keys: [...keys, ...EVERYWHERE] }
}

function completeKeys(keys: readonly Key[], path: string): readonly Key[] {
  const named = keys.map((key) => completeKey(key, `${path}/${key.key}`))
  return [...named, ...(own(ADDITIONS, path) ?? [])]
}

function completeKey(key: Key, path: string): Key {
  // The texts of an array of texts are named after the array: `DeviceInformation/Queries/UDID`.
  const inner = key.key === 'QueriesItem' ? path.slice(0, path.lastIndexOf('/')) : path
  const keys = key.keys === undefined ? undefined : completeKeys(key.keys, inner)
  const removal = own(REMOVALS, path)
  const on = removal === undefined ? key.on : removedOn(key.on, removal)
  return { ...key, ...(on !== undefined && { on }), ...(keys !== undefined && { keys }) }
}

function removedOn(on: SupportedOn | undefined, removal: SupportedOn): SupportedOn {
  const all = SYSTEMS.map((system) => {
    const [known, change] = [on?.[system], removal[system]]
    return [system, known === null || change === undefined ? known : { ...known, ...change }] as const
  })
  return Object.fromEntries(all.filter(([, support]) => support !== undefined))
}

function own<T>(table: Readonly<Record<string, T>>, path: string): T | undefined {
  return Object.hasOwn(table, path) ? table[path] : undefined
}

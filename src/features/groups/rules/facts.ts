import { PLATFORMS } from './platform.ts'

/** What a rule may do with a fact. */
export const OPS = ['eq', 'ne', 'in', 'lt', 'le', 'gt', 'ge', 'starts_with', 'contains', 'exists'] as const
export type Op = (typeof OPS)[number]

/**
 * What a fact is. `folded`: a text that is the same in any case; `id` and `group` name something by its id; `version` and `build`
 * compare by their parts.
 */
type Type =
  'text' | 'folded' | 'user_name' | 'one_of' | 'version' | 'build' | 'boolean' | 'time' | 'id' | 'group'

/** A fact that rules may ask for. */
interface Fact {
  type: Type
  /**
   * Who tells it: `server`: it is always known, also that there is none; `device`: it is unknown until the device tells it;
   * `hardware`: likewise, but devices that are enrolled by an account of a person never tell it, so that there is none.
   */
  by: 'server' | 'device' | 'hardware'
  /** Of `one_of`: all that there are. */
  values?: readonly string[]
}

/** Every fact by its name, which is that of its column in `device_facts` too; but for the groups that a device is in. */
export const FACTS = {
  policy_id: { type: 'id', by: 'server' },
  policy_name: { type: 'text', by: 'server' },
  user_name: { type: 'user_name', by: 'server' },
  serial_number: { type: 'folded', by: 'hardware' },
  udid: { type: 'folded', by: 'hardware' },
  device_name: { type: 'text', by: 'device' },
  product_name: { type: 'text', by: 'device' },
  model_name: { type: 'text', by: 'device' },
  platform: { type: 'one_of', by: 'device', values: PLATFORMS },
  os_version: { type: 'version', by: 'device' },
  build_version: { type: 'build', by: 'device' },
  supervised: { type: 'boolean', by: 'device' },
  enrollment_type: { type: 'one_of', by: 'server', values: ['device', 'user_enrollment_device'] },
  way: { type: 'one_of', by: 'server', values: ['ade', 'ade_web', 'link', 'page'] },
  enrolled_at: { type: 'time', by: 'server' },
  last_seen_at: { type: 'time', by: 'server' },
  ade_server_id: { type: 'id', by: 'server' },
  group_id: { type: 'group', by: 'server' },
} as const satisfies Record<string, Fact>

/** The name of a fact. */
export type FactName = keyof typeof FACTS

/** What a fact of this name is; undefined when there is none. */
export function factOf(name: string): Fact | undefined {
  return Object.hasOwn(FACTS, name) ? FACTS[name as FactName] : undefined
}

const EQUAL: readonly Op[] = ['eq', 'ne', 'in', 'exists']
const ORDER: readonly Op[] = ['lt', 'le', 'gt', 'ge']
const PARTS: readonly Op[] = ['starts_with', 'contains']

const ALLOWED: Record<Type, readonly Op[]> = {
  text: OPS,
  folded: OPS,
  user_name: OPS,
  version: OPS,
  build: OPS,
  one_of: [...EQUAL, ...PARTS],
  time: [...EQUAL, ...ORDER],
  boolean: EQUAL,
  id: EQUAL,
  group: EQUAL,
}

/** The ops that a fact takes. */
export function opsOf({ type }: Fact): readonly Op[] {
  return OPS.filter((op) => ALLOWED[type].includes(op))
}

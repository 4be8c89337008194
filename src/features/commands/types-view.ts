import {
  jsonSchemaOf,
  listCommandTypes,
  successorOf,
  SYSTEMS,
  type CommandType,
} from '../../protocol/mdm/index.ts'

/** Every command type, by name. */
export const TYPES: readonly CommandType[] = listCommandTypes().toSorted((one, other) =>
  one.request_type < other.request_type ? -1 : 1,
)

type Channel = 'device' | 'user'

/** A command type, as the API shows it. */
export function renderType(type: CommandType) {
  const platforms = SYSTEMS.flatMap((system) => {
    const support = type.on[system]
    if (support === null || support === undefined) return []
    const { introduced = null, deprecated = null, removed = null } = support
    const shared = support.shared_ipad
    const takesUser = system === 'iOS' ? shared?.user_channel === true : support.user_channel === true
    const takesDevice = (system === 'iOS' ? shared?.device_channel : support.device_channel) !== false
    const channels: Channel[] = [
      ...(takesDevice ? (['device'] as const) : []),
      ...(takesUser ? (['user'] as const) : []),
    ]
    const platform = {
      introduced,
      deprecated,
      removed,
      supervised: support.supervised === true,
      automated_enrollment: support.automated === true,
      user_enrollment: support.user_enrollment ?? ('allowed' as const),
      shared_ipad: system === 'iOS' ? (shared?.mode ?? ('allowed' as const)) : null,
      channels,
    }
    return [[system.toLowerCase(), platform] as const]
  })
  return {
    request_type: type.request_type,
    platforms: Object.fromEntries(platforms),
    channels: (['device', 'user'] as const).filter((channel) =>
      platforms.some(([, { channels }]) => channels.includes(channel)),
    ),
    supervised: platforms.flatMap(([name, { supervised }]) => (supervised ? [name] : [])),
    replaced_by: successorOf(type.request_type) ?? null,
    keys: jsonSchemaOf(type),
  }
}

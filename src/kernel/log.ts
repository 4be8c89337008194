import { pino, type Logger, type DestinationStream } from 'pino'

/**
 * The logger of the program: pino, JSON lines. Fields as in the contract: `event`, `reason`, `enrollment_id`,
 * `serial_number`, `user_name`, `request_id`, `duration_ms`. What could carry a secret is censored by name as the
 * last line of defence; nothing should hand it over in the first place.
 */
export type Log = Logger

/** Names under which a secret could slip in, at the top level or one level down. */
const CENSORED = [
  'authorization',
  'cookie',
  'password',
  'secret',
  'token',
  'challenge',
  'push_magic',
  'PushMagic',
  'Token',
  'UnlockToken',
  'BootstrapToken',
  'private_key',
]

/** Makes the logger. `pretty` is for people at a terminal; `destination` is for tests. */
export function createLog(options: {
  level: string
  pretty?: boolean
  destination?: DestinationStream
}): Log {
  const settings = {
    level: options.level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: CENSORED.flatMap((name) => [name, `*.${name}`]), censor: '[secret]' },
  }
  if (options.destination) return pino(settings, options.destination)
  if (options.pretty) return pino({ ...settings, transport: { target: 'pino-pretty' } })
  return pino(settings)
}

import { pino, type DestinationStream, type LogFn, type Logger } from 'pino'
import { AppError } from './errors.ts'
import { wordSet } from './words.ts'

/**
 * The logger of the program: pino, JSON lines. Fields as in the contract: `event`, `reason`, `enrollment_id`,
 * `serial_number`, `user_name`, `request_id`, `duration_ms`. What could carry a secret is censored by name as the
 * last line of defence; nothing should hand it over in the first place.
 */
export type Log = Logger

/** Names under which a secret could slip in, at the top level or one level down. */
const CENSORED = wordSet('authorization cookie password secret challenge push_magic PushMagic private_key')
/** So are those of tokens, whatever they open. */
const isToken = (name: string) => name === 'token' || name.endsWith('Token')

/** Lines as JSON to standard output. `pretty` is for people at a terminal; `destination` is for tests. */
export function createLog(options: {
  level: string
  pretty?: boolean
  destination?: DestinationStream
}): Log {
  const settings = {
    level: options.level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: {
      level: (label: string) => ({ level: label }),
      log: (fields: Record<string, unknown>) => censor(fields),
    },
    serializers: { err: serializeError },
    hooks: { logMethod: leaveOutOutage },
  }
  if (options.destination) return pino(settings, options.destination)
  if (options.pretty) return pino({ ...settings, transport: { target: 'pino-pretty' } })
  return pino(settings)
}

/**
 * The fields with what bears a censored name left out, at the top level and one level down. pino's own redaction looks for each
 * path in each line, which took a third of the time of writing one.
 */
function censor(fields: Record<string, unknown>, depth = 0): Record<string, unknown> {
  let result = fields
  for (const name in fields) {
    const value = fields[name]
    const isLooked = depth === 0 && name !== 'err' && isNested(value)
    const clean = CENSORED.has(name) || isToken(name) ? '[secret]' : isLooked ? censor(value, 1) : value
    if (clean === value) continue
    if (result === fields) result = { ...fields }
    result[name] = clean
  }
  return result
}

function isNested(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What is thrown may be anything; of an error its message and stack are told, which are no fields before that. */
function serializeError(thrown: Error): unknown {
  const told: unknown = pino.stdSerializers.err(thrown)
  return isNested(told) ? censor({ ...told }, 1) : told
}

/** What fails because the database is away is one fact, told by who notices it (`database.lost`), not by all who need it. */
function leaveOutOutage(this: Logger, args: Parameters<LogFn>, method: LogFn): void {
  const [fields] = args as [unknown]
  const error = isNested(fields) ? fields['err'] : undefined
  if (error instanceof AppError && error.code === 'database_unavailable') return
  method.apply(this, args)
}

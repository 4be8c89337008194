import { AppError } from '../../kernel/errors.ts'
import { NO_PUSH_DATA } from '../push/index.ts'

/** What NanoMDM says of one id of a push or enqueue call; what is empty is left out. */
export interface IdStatus {
  push_error?: string
  push_result?: string
  command_error?: string
}

/** NanoMDM's answer to push and enqueue (its `docs/openapi.yaml`, APIResult). */
export interface ApiResult {
  status?: Record<string, IdStatus>
  no_push?: boolean
  push_error?: string
  command_error?: string
  command_uuid?: string
  request_type?: string
}

/** The HTTP status of such an answer to `count` ids: 200 all went well, 207 some failed, 500 all failed or a general error. */
export function statusOf(result: ApiResult, count: number): 200 | 207 | 500 {
  if (result.push_error || result.command_error) return 500
  const failed = Object.values(result.status ?? {}).filter(
    (one) => one.push_error || one.command_error,
  ).length
  if (failed === 0) return 200
  return failed === count ? 500 : 207
}

/**
 * What such an answer of status 500 is in our own words: what the caller did wrong (no command, ids that nobody has) is no
 * error of ours, though NanoMDM answers it so.
 */
export function refusalOf(result: ApiResult): AppError {
  const each = Object.values(result.status ?? {})
  const general = result.command_error ?? result.push_error
  const ofApple = each.find(({ push_error: error }) => error !== undefined && error !== NO_PUSH_DATA)
  return general === undefined && ofApple !== undefined
    ? new AppError('upstream_unavailable', ofApple.push_error)
    : new AppError('invalid_request', general ?? each[0]?.command_error ?? each[0]?.push_error)
}

/** JSON as NanoMDM writes it: indented by tabs, with a final newline. */
export function toJsonText(value: unknown): string {
  return `${JSON.stringify(value, null, '\t')}\n`
}

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

/** An answer with its members in NanoMDM's order, and the ids in theirs. */
export function inOrder(result: ApiResult) {
  const { status, no_push, push_error, command_error, command_uuid, request_type } = result
  const ids = Object.entries(status ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return {
    status: status && Object.fromEntries(ids),
    ...{ no_push, push_error, command_error, command_uuid, request_type },
  }
}

/** A time as Go writes it (RFC 3339): without zeros at the end of the fraction. */
export function toTimeText(time: Date): string {
  return time.toISOString().replace(/\.?0{1,3}Z$/, 'Z')
}

/** JSON as NanoMDM writes it: indented by tabs, safe to stand in HTML, with a final newline. */
export function toJsonText(value: unknown): string {
  const text = JSON.stringify(value, null, '\t').replaceAll(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return `${text}\n`
}

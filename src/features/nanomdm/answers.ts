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

/** The HTTP status of such an answer: 200 all went well, 207 some failed, 500 all failed or a general error. */
export function statusOf(result: ApiResult): 200 | 207 | 500 {
  if (result.push_error || result.command_error) return 500
  const all = Object.values(result.status ?? {})
  const failed = all.filter((one) => one.push_error || one.command_error).length
  if (failed === 0) return 200
  return failed === all.length ? 500 : 207
}

/** JSON as NanoMDM writes it: indented by tabs, with a final newline. */
export function toJsonText(value: unknown): string {
  return `${JSON.stringify(value, null, '\t')}\n`
}

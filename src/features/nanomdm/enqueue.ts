import type { Db } from '../../db/index.ts'
import { AppError } from '../../kernel/errors.ts'
import { parseCommand } from '../../protocol/mdm/index.ts'
import type { Commands } from '../commands/index.ts'
import type { Devices } from '../devices/index.ts'
import type { Push } from '../push/index.ts'
import type { ApiResult, IdStatus } from './answers.ts'

export interface EnqueueDeps {
  db: Db
  devices: Devices
  commands: Commands
  push: Pick<Push, 'pushNow'>
}

/** Pushes to these enrollments and waits, within bounds, for what Apple says. */
export async function pushTo(deps: EnqueueDeps, ids: readonly string[]): Promise<ApiResult> {
  const outcomes = await deps.push.pushNow(ids)
  const status: Record<string, IdStatus> = {}
  for (const id of ids) {
    const outcome = outcomes.get(id)
    status[id] =
      outcome?.error === undefined ? { push_result: outcome?.result ?? '' } : { push_error: outcome.error }
  }
  return { status }
}

/** Queues a raw command for these enrollments, then pushes unless told not to. An empty body only pushes. */
export async function enqueue(
  deps: EnqueueDeps,
  ids: readonly string[],
  body: Buffer,
  options: { noPush: boolean; createdBy: string },
): Promise<ApiResult> {
  if (body.length === 0) return pushTo(deps, ids)
  let result: ApiResult = options.noPush ? { no_push: true } : {}
  const failed: Record<string, IdStatus> = {}
  try {
    const command = parseCommand(body)
    result = { ...result, command_uuid: command.uuid, request_type: command.requestType }
    const live = await deps.devices.liveIds(deps.db.kysely, ids)
    for (const id of ids)
      if (!live.has(id)) failed[id] = { command_error: 'enrollment not found or not enabled' }
    if (live.size > 0)
      await deps.db.transaction((trx) =>
        deps.commands.enqueue(trx, {
          uuid: command.uuid,
          requestType: command.requestType,
          body,
          targets: [...live],
          createdBy: options.createdBy,
          // The push below waits for Apple's answer; this need makes it go on by itself if that takes too long.
          push: !options.noPush,
        }),
      )
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'database_unavailable') throw error
    return { ...result, command_error: error.message }
  }
  const pushed = options.noPush ? {} : ((await pushTo(deps, ids)).status ?? {})
  const status = Object.fromEntries(ids.map((id) => [id, { ...pushed[id], ...failed[id] }]))
  return { ...result, status }
}

import type { Db } from '../../db/index.ts'
import type { Act } from '../../kernel/act.ts'
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

const NO_IDS = 'no enrollment ids were given'

/** Pushes to these enrollments and waits, within bounds, for what Apple says. */
export async function pushTo(deps: EnqueueDeps, ids: readonly string[]): Promise<ApiResult> {
  return ids.length === 0 ? { push_error: NO_IDS } : answerOf(await pushEach(deps, ids))
}

/** Queues a raw command for these enrollments, then pushes unless told not to. An empty body only pushes. */
export async function enqueue(
  deps: EnqueueDeps,
  ids: readonly string[],
  body: Buffer,
  options: { noPush: boolean; act: Act },
): Promise<ApiResult> {
  if (body.length === 0) return pushTo(deps, ids)
  if (ids.length === 0) return { command_error: NO_IDS }
  let result: ApiResult = options.noPush ? { no_push: true } : {}
  const failed = new Map<string, IdStatus>()
  let queuedFor: string[] = []
  try {
    const command = parseCommand(body)
    result = { ...result, command_uuid: command.uuid, request_type: command.requestType }
    const live = await deps.devices.liveIds(deps.db.kysely, ids)
    for (const id of ids)
      if (!live.has(id)) failed.set(id, { command_error: 'enrollment not found or not enabled' })
    queuedFor = ids.filter((id) => live.has(id))
    if (live.size > 0)
      await deps.db.transaction((trx) =>
        deps.commands.enqueue(trx, options.act, {
          uuid: command.uuid,
          requestType: command.requestType,
          body,
          targets: [...live],
          // NanoMDM sends what it is given: its clients have looked at it themselves.
          forced: true,
          // The push below waits for Apple's answer; this need makes it go on by itself if that takes too long.
          push: !options.noPush,
        }),
      )
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'database_unavailable') throw error
    if (error.code === 'governor_limit' || error.code === 'governor_stopped') {
      for (const id of queuedFor) failed.set(id, { command_error: error.message })
      return { ...answerOf(failed), ...result }
    }
    return { ...result, command_error: error.message }
  }
  const status = options.noPush ? new Map<string, IdStatus>() : await pushEach(deps, ids)
  for (const [id, failure] of failed) status.set(id, { ...status.get(id), ...failure })
  return { ...answerOf(status), ...result }
}

async function pushEach(deps: EnqueueDeps, ids: readonly string[]): Promise<Map<string, IdStatus>> {
  const outcomes = await deps.push.pushNow(ids)
  return new Map(
    ids.map((id) => {
      const { result = '', error } = outcomes.get(id) ?? {}
      return [id, error === undefined ? { push_result: result } : { push_error: error }]
    }),
  )
}

/** By id, also one that is called as a property of every object is; nothing at all when there is nothing to tell. */
function answerOf(status: ReadonlyMap<string, IdStatus>): ApiResult {
  return status.size === 0 ? {} : { status: Object.fromEntries(status) }
}

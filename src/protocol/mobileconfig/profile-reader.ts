import { extname } from 'node:path'
import { AppError, type ErrorCode } from '../../kernel/errors.ts'
import { createThreadPool } from '../../kernel/threads.ts'
import type { InspectedProfile, ProfileTask, RefusedProfile } from './profile-worker.ts'
import type { ProfileTemplate } from './template.ts'

/** Profiles are read seldom: at an upload, and once when the first of many devices gets a revision. */
const THREADS = 1
/** Megabytes for the thread: many times what the largest profile takes. */
const LIMITS = { maxOldGenerationSizeMb: 768, maxYoungGenerationSizeMb: 32 }
/** Of whatever form an upload is not, it is no profile. */
const UNREADABLE: ReadonlySet<ErrorCode> = new Set(['plist_invalid', 'cms_invalid', 'x509_invalid'])
/** What is rendered for devices does not wait behind uploads. */
const RENDERING = 'rendering'

/** Reads and writes configuration profiles in a thread of its own. */
export type ProfileReader = ReturnType<typeof createProfileReader>

/** Starts no thread before it is needed. */
export function createProfileReader() {
  const script = new URL(`./profile-worker${extname(import.meta.filename)}`, import.meta.url)
  const pool = createThreadPool({ script, size: THREADS, limits: LIMITS })

  /** What was made to unfold beyond the memory of the thread ends the thread, and no more. */
  async function runBounded<T>(task: ProfileTask, lane: string): Promise<T> {
    try {
      return await pool.run<T>(task, { lane, bytes: task.body.length })
    } catch (error) {
      if (!isOutOfMemory(error)) throw error
      throw new AppError('profile_invalid', 'It unfolds to more than there is memory for.', { cause: error })
    }
  }

  async function ask<T extends InspectedProfile | string | ProfileTemplate>(
    task: ProfileTask,
    lane: string,
  ): Promise<T> {
    const answer = await runBounded<T | RefusedProfile>(task, lane)
    if (typeof answer !== 'object' || !('problem' in answer)) return answer
    const { code, message, faults } = answer.problem
    if (!UNREADABLE.has(code)) throw new AppError(code, message, { faults })
    throw new AppError('profile_invalid', `It cannot be read as a profile: ${message}`, { faults })
  }

  return {
    /**
     * What is in an upload, signed or not. `ours` is the identifier of the enrollment profile. Rejects with `profile_invalid`,
     * `profile_encrypted`, and without `force` with `profile_breaks_management`; with `overloaded` when too many wait.
     */
    inspect: (body: Uint8Array, options: { now: Date; ours: string; force: boolean; lane: string }) => {
      const { lane, ...rest } = options
      return ask<InspectedProfile>({ kind: 'inspect', body, ...rest }, lane)
    },
    /** The digest of one that was found good. */
    digest: (body: Uint8Array, lane: string) => ask<string>({ kind: 'digest', body }, lane),
    /** The same, written for all devices. */
    compile: (body: Uint8Array) => ask<ProfileTemplate>({ kind: 'compile', body }, RENDERING),
    close: () => pool.close(),
  }
}

function isOutOfMemory(error: unknown): boolean {
  const cause = error instanceof AppError ? error.cause : undefined
  return cause instanceof Error && 'code' in cause && cause.code === 'ERR_WORKER_OUT_OF_MEMORY'
}

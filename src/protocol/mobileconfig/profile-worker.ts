import { AppError, type ErrorCode, type Fault } from '../../kernel/errors.ts'
import { serveTasks } from '../../kernel/threads.ts'
import { readProfilePlist } from './codec.ts'
import { digestOfProfile, inspectProfile, type ProfileContent } from './inspect.ts'
import { unwrapProfile, type ProfileSigner } from './signature.ts'
import { warningsOf } from './warnings.ts'
import { compileProfile, type ProfileTemplate } from './template.ts'
import type { ProfileDict } from './tree.ts'

/** What the thread is asked of an uploaded profile: what is in it, only its digest, or to write it for all devices. */
export type ProfileTask = { body: Uint8Array } & (
  { kind: 'inspect'; now: Date; ours: string; force: boolean } | { kind: 'digest' } | { kind: 'compile' }
)

/** What is known of an upload that was found good. */
export interface InspectedProfile extends ProfileContent {
  warnings: readonly { path: string; message: string }[]
  /** See `digestOfProfile`. */
  digest: string
  /** Null: it was not signed. */
  signer: ProfileSigner | null
}

/** Why not; with every fault, which an error would lose between threads. */
export interface RefusedProfile {
  problem: { code: ErrorCode; message: string; faults: readonly Fault[] }
}

serveTasks(async (task: ProfileTask) => {
  try {
    return { result: await work(task) }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const { code, message, faults } = error
    return { result: { problem: { code, message, faults } } satisfies RefusedProfile }
  }
})

async function work(task: ProfileTask): Promise<InspectedProfile | string | ProfileTemplate> {
  if (task.kind === 'inspect') {
    const { content, signer } = await unwrapProfile(task.body, { verifiedAt: task.now })
    const root = readProfilePlist(content)
    const found = inspectProfile(root, task.ours, task.force)
    return { ...found, warnings: warningsOf(root), digest: digestOfProfile(root), signer }
  }
  const root = await readAgain(task)
  return task.kind === 'digest' ? digestOfProfile(root) : compileProfile(root)
}

/** What was found good when it was uploaded. */
async function readAgain({ body }: ProfileTask): Promise<ProfileDict> {
  const { content } = await unwrapProfile(body, {})
  return readProfilePlist(content)
}

import type { Turn } from '../../kernel/fair-queue.ts'
import { type createAdmission, personAt } from './admission.ts'
import type { createDirectories } from './directory.ts'
import type { Attempt, createGuard } from './guard.ts'
import type { Proof, createLocalCheck } from './local.ts'
import { type SignInResult, refuse } from './result.ts'
import type { Sources } from './sources/sources.ts'
import { LOCAL, type WsTrustSource } from './sources/types.ts'

/** Someone who wants to sign in with a user name and a password; `sourceId` null = local accounts. */
type Credentials = Attempt & { sourceId: string | null }

/** What verifying is made of. */
type VerifyDeps = {
  sources: Pick<Sources, 'find'>
  guarded: ReturnType<typeof createGuard>
  checkLocally: ReturnType<typeof createLocalCheck>
  directories: ReturnType<typeof createDirectories>
  admission: Pick<ReturnType<typeof createAdmission>, 'admit'>
}

/** The check of a user name and password at a source; a directory may make or link a user by it. */
export function createVerify(deps: VerifyDeps) {
  const { sources, guarded, checkLocally, directories, admission } = deps

  async function askDirectory(source: WsTrustSource, credentials: Credentials, turn: Turn): Promise<Proof> {
    const { userName, password, requestId } = credentials
    const { isRight, result } = await directories.check(source, { userName, password }, turn)
    if (!result.ok) return { isRight, result: refuse(result.reason, result.detail) }
    return { isRight, result: await admission.admit(source, personAt(userName, result), requestId) }
  }

  return async function verify(credentials: Credentials): Promise<SignInResult> {
    const { sourceId, userName, password } = credentials
    const source = await sources.find(sourceId ?? LOCAL)
    if (source === undefined)
      return refuse('directory_unavailable', 'the sign-in source does not exist any more')
    if (source.kind === 'oidc') {
      return refuse('directory_unavailable', `people sign in to "${source.name}" (oidc) on its own page`)
    }
    return guarded(credentials, (turn) =>
      source.kind === LOCAL
        ? checkLocally(userName, password, turn)
        : askDirectory(source, credentials, turn),
    )
  }
}

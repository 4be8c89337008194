import { availableParallelism } from 'node:os'
import { AppError } from '../../kernel/errors.ts'
import type { createAdmission } from './admission.ts'
import type { createDirectories } from './directory.ts'
import type { Proof, createLocalCheck } from './local.ts'
import { type Lockout, type Subjects, subjectsOf } from './lockout/lockout.ts'
import { createFairQueue } from './queue.ts'
import { type SignInResult, refuse } from './result.ts'
import type { Sources } from './sources/sources.ts'
import { LOCAL, type Source, type WsTrustSource } from './sources/types.ts'

/** Someone who wants to sign in with a user name and a password. */
export type Credentials = {
  /** null = local accounts. */
  sourceId: string | null
  userName: string
  password: string
  /** Where the request came from. */
  address: string
  requestId: string
}

const MAX_USER_NAME = 255
const MAX_PASSWORD = 1024

/** Each check takes a thread of Node's pool of four for 0.2 s: one is left to the others. */
const HASHERS = Math.min(3, Math.max(1, availableParallelism()))
/** Requests to directories at once. */
const ASKERS = 64
/** Tries of one name at once: more of them would pass the lock-out together. */
const TRIES_PER_USER = 4
/** What may wait for its turn: a company behind one address must fit, and none may fill it for the others. */
const WAITING = { maxWaiting: 20_000, maxPerLane: 2_000 }

/** What verifying is made of. */
type VerifyDeps = {
  sources: Pick<Sources, 'find'>
  lockout: Lockout
  checkLocally: ReturnType<typeof createLocalCheck>
  directories: ReturnType<typeof createDirectories>
  admit: ReturnType<typeof createAdmission>
}

/** Makes the check of a user name and password. */
export function createVerify(deps: VerifyDeps) {
  const { lockout, checkLocally, directories, admit } = deps
  const users = createFairQueue({ width: Infinity, perLane: TRIES_PER_USER, ...WAITING })
  const hashers = createFairQueue({ width: HASHERS, perLane: HASHERS, ...WAITING })
  const askers = createFairQueue({ width: ASKERS, perLane: ASKERS, ...WAITING })

  async function askDirectory(source: WsTrustSource, credentials: Credentials): Promise<Proof> {
    const { userName, password, requestId } = credentials
    const { result } = await directories.ask(source, { userName, password })
    if (!result.ok) {
      const isWrong = result.reason === 'invalid_credentials' || result.reason === 'user_unknown'
      return { isRight: isWrong ? false : undefined, result: refuse(result.reason, result.detail) }
    }
    const { userName: canonical = userName, displayName, email } = result
    const person = { user_name: canonical, display_name: displayName, email }
    return { isRight: true, result: await admit(source, person, requestId) }
  }

  /** The lock-out is looked at when the turn comes: much may have failed while this one waited. */
  async function tryNow(
    subjects: Subjects,
    { requestId }: Credentials,
    check: () => Promise<Proof>,
  ): Promise<SignInResult> {
    const { retryAfterSeconds, hasFailed } = await lockout.check(subjects)
    if (retryAfterSeconds > 0) return tooMany(retryAfterSeconds)
    const { isRight, result } = await check()
    if (isRight === false) await lockout.noteFailure(subjects, requestId)
    if (isRight === true && hasFailed) await lockout.noteSuccess(subjects)
    return result
  }

  async function verifyAt(source: Source, credentials: Credentials): Promise<SignInResult> {
    const { userName, password, address } = credentials
    if (source.kind === 'oidc') {
      return refuse('directory_unavailable', `people sign in to "${source.name}" (oidc) on its own page`)
    }
    const subjects = subjectsOf(userName, address)
    const locked = (await lockout.check(subjects)).retryAfterSeconds
    if (locked > 0) return tooMany(locked)
    const [queue, check] =
      source.kind === LOCAL
        ? ([hashers, () => checkLocally(userName, password)] as const)
        : ([askers, () => askDirectory(source, credentials)] as const)
    return users.run(subjects.user, () =>
      queue.run(subjects.address, () => tryNow(subjects, credentials, check)),
    )
  }

  return async function verify(credentials: Credentials): Promise<SignInResult> {
    const { sourceId, userName, password } = credentials
    if (!isPossible(userName, password)) {
      return refuse('invalid_credentials', 'the user name or the password is empty, too long or not a text')
    }
    const source = await deps.sources.find(sourceId ?? LOCAL)
    if (source === undefined)
      return refuse('directory_unavailable', 'the sign-in source does not exist any more')
    try {
      return await verifyAt(source, credentials)
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'overloaded') throw error
      return refuse('directory_unavailable', 'this server has too many passwords to check at the moment')
    }
  }
}

function isPossible(userName: string, password: string): boolean {
  return (
    userName.trim() !== '' &&
    userName.length <= MAX_USER_NAME &&
    !/\p{Cc}/u.test(userName) &&
    password !== '' &&
    password.length <= MAX_PASSWORD
  )
}

function tooMany(retryAfterSeconds: number): SignInResult {
  return refuse(
    'too_many_failures',
    `too many sign-ins of this user or from this address have failed; the next try counts in ${retryAfterSeconds} s`,
    { retryAfterSeconds },
  )
}

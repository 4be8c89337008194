import { AppError } from '../../kernel/errors.ts'
import type { Turn } from '../../kernel/fair-queue.ts'
import { type Vouched, type createAdmission, personAt } from './admission.ts'
import type { DirectoryAnswer, createDirectories } from './directory.ts'
import type { Attempt, createGuard } from './guard.ts'
import type { Proof, createLocalCheck } from './local.ts'
import type { SignInReason } from './result.ts'
import type { Sources } from './sources/sources.ts'
import { LOCAL, type WsTrustSource } from './sources/types.ts'

/** What came of a try: `message` says it in plain words and never holds the password. */
type Trial = { ok: boolean; reason: SignInReason | null; message: string }

/** The try of a source that an administrator asks for. It makes no user; wrong passwords count as those of any sign-in. */
export function createTrial(deps: {
  admission: Pick<ReturnType<typeof createAdmission>, 'foresee'>
  sources: Pick<Sources, 'get'>
  guarded: ReturnType<typeof createGuard>
  directories: ReturnType<typeof createDirectories>
  checkLocally: ReturnType<typeof createLocalCheck>
}) {
  const { admission, sources, guarded, directories, checkLocally } = deps

  async function tryLocally({ userName, password }: Attempt, turn: Turn): Promise<Proof<Trial>> {
    const { isRight, result } = await checkLocally(userName, password, turn)
    const trial = result.ok
      ? { ok: true, reason: null, message: `The password of ${result.user.user_name} is right.` }
      : { ok: false, reason: result.reason, message: sentence(result.detail) }
    return { isRight, result: trial }
  }

  /** What signing in would do here, as the directory has said yes. */
  async function tellUser(source: WsTrustSource, person: Vouched, where: string): Promise<Trial> {
    const yes = `${where} takes user name and password`
    const foreseen = await admission.foresee(source, person)
    if (!foreseen.ok) {
      return {
        ok: false,
        reason: foreseen.reason,
        message: `${yes}. But ${sentence(foreseen.detail, 'as it is')}`,
      }
    }
    const { user, isNew } = foreseen
    const message = isNew
      ? `${yes}: ${user.user_name} would become a user with the default device limit.`
      : `${yes}: this is ${user.user_name}.`
    return { ok: true, reason: null, message }
  }

  async function tryDirectory(
    source: WsTrustSource,
    { userName, password }: Attempt,
    turn: Turn,
  ): Promise<Proof<Trial>> {
    const answer = await directories.check(source, { userName, password }, turn, { afresh: true })
    const { isRight, result } = answer
    const where = placeOf(source, answer)
    const trial = result.ok
      ? await tellUser(source, personAt(userName, result), where)
      : { ok: false, reason: result.reason, message: `${where}: ${sentence(result.detail)}` }
    return { isRight, result: trial }
  }

  /** Throws AppError `not_found`, and `conflict` for an OpenID provider. */
  return async function trySource(options: Attempt & { id: string }): Promise<Trial> {
    const { id, ...attempt } = options
    const source = await sources.get(id)
    if (source.kind === 'oidc') {
      throw new AppError(
        'conflict',
        'People sign in to an OpenID provider on a page of its own: open the enrollment page and try it there.',
      )
    }
    const result = await guarded(attempt, (turn) =>
      source.kind === LOCAL ? tryLocally(attempt, turn) : tryDirectory(source, attempt, turn),
    )
    return 'message' in result
      ? result
      : { ok: false, reason: result.reason, message: sentence(result.detail) }
  }
}

function placeOf({ url }: WsTrustSource, { endpoint }: DirectoryAnswer): string {
  if (endpoint === undefined) return `No endpoint was found through ${url}`
  if (endpoint === url) return endpoint
  const { host } = new URL(endpoint)
  const other = host === new URL(url).host ? '' : `, on another host: ${host}`
  return `${endpoint} (found through ${url}${other})`
}

function sentence(detail: string, begins: 'capital' | 'as it is' = 'capital'): string {
  const text = begins === 'capital' ? detail.charAt(0).toUpperCase() + detail.slice(1) : detail
  return /[.?!"]$/.test(text) ? text : `${text}.`
}

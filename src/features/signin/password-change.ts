import { actOfPerson } from '../../kernel/act.ts'
import { AppError } from '../../kernel/errors.ts'
import type { User, Users } from '../users/index.ts'
import { type SignInRefusal, type SignInResult, busy } from './result.ts'
import type { createVerify } from './verify.ts'

/** NIST SP 800-63B, section 3.1.1.2, asks for length and for no mixture of characters. */
const MIN_LENGTH = 12
const MAX_LENGTH = 1024
const MIN_DISTINCT = 5
/** Shorter names are found in any sentence. */
const TELLING_NAME = 4

/** The changed user, why the old password did not count, or (`detail`, for the person) why the new one may not be. */
type PasswordChange =
  SignInResult | { readonly ok: false; readonly reason: 'password_refused'; readonly detail: string }

/** The change of a password by the person whose it is. New ones that are too easy are refused. */
export function createPasswordChange(deps: {
  users: Pick<Users, 'update'>
  verify: ReturnType<typeof createVerify>
}) {
  const { users, verify } = deps

  /** The local account whose password is right, expired or not. */
  async function prove(options: Parameters<typeof changePassword>[0]): Promise<User | SignInRefusal> {
    const { user, oldPassword: password, address, requestId } = options
    const result = await verify({ sourceId: null, userName: user.user_name, password, address, requestId })
    if (result.ok) return result.user
    return result.user ?? result
  }

  /**
   * Changes the password of a local account, also one that must be changed or has expired; afterwards it neither must be
   * changed nor expires. The old one is checked like a sign-in, with the same lock-out.
   */
  async function changePassword(options: {
    user: Pick<User, 'user_name'>
    oldPassword: string
    newPassword: string
    address: string
    requestId: string
  }): Promise<PasswordChange> {
    const { user, oldPassword, newPassword, requestId } = options
    const detail = passwordProblem(newPassword, { oldPassword, userName: user.user_name })
    if (detail !== undefined) return { ok: false, reason: 'password_refused', detail }
    const proved = await prove(options)
    if ('reason' in proved) return proved
    const fields = { password: newPassword, must_change_password: false, password_expires_at: null }
    const checkVersion = (version: number) => {
      if (version !== proved.version)
        throw new AppError('conflict', 'The account was changed in the meantime.')
    }
    try {
      return {
        ok: true,
        user: await users.update(proved.id, fields, { ...actOfPerson(proved, requestId), checkVersion }),
      }
    } catch (error) {
      if (error instanceof AppError && error.code === 'overloaded') return busy()
      throw error
    }
  }

  return changePassword
}

/** What speaks against a new password, in words for the person who chose it. */
function passwordProblem(
  password: string,
  { oldPassword, userName }: { oldPassword: string; userName: string },
): string | undefined {
  const fresh = password.normalize('NFC')
  const lower = fresh.toLowerCase()
  const account = accountOf(userName.toLowerCase())
  const characters = Array.from(fresh)
  if (characters.length < MIN_LENGTH) return `The new password needs ${MIN_LENGTH} characters or more.`
  if (fresh.length > MAX_LENGTH) return `The new password may have ${MAX_LENGTH} characters at most.`
  if (/\p{Cc}/u.test(fresh)) return 'The new password may not hold control characters.'
  if (fresh === oldPassword.normalize('NFC')) return 'The new password must be another one than the old.'
  if (new Set(characters).size < MIN_DISTINCT) {
    return `The new password needs ${MIN_DISTINCT} different characters or more.`
  }
  return account.length >= TELLING_NAME && lower.includes(account)
    ? 'The new password may not hold the user name.'
    : undefined
}

/** `smith` of `CORP\smith` and of `smith@corp.example`. */
function accountOf(userName: string): string {
  const name = userName.slice(userName.lastIndexOf('\\') + 1)
  const at = name.indexOf('@')
  return at < 0 ? name : name.slice(0, at)
}

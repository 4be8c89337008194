import type { Log } from '../../kernel/log.ts'
import type { Users } from '../users/index.ts'
import { createAdmission } from './admission.ts'
import { createDirectories } from './directory.ts'
import { createGuard } from './guard.ts'
import { createLocalCheck } from './local.ts'
import { createLockout } from './lockout/lockout.ts'
import { createOidc } from './oidc/oidc.ts'
import { createProviders } from './oidc/provider.ts'
import { createPasswordChange } from './password-change.ts'
import { createSessions } from './sessions/sessions.ts'
import { type SourcesDeps, createSources } from './sources/sources.ts'
import { createTrial } from './trial.ts'
import { createVerify } from './verify.ts'

/** What signing in is made of. */
type SigninDeps = SourcesDeps & {
  log: Log
  users: Pick<Users, 'findByName' | 'forgetSubjects' | 'link' | 'standingOf' | 'update' | 'verifyPassword'>
  /** Scheme, host and port under which browsers reach this server. */
  publicUrl: string
  /** How this server names itself to directories and providers. */
  userAgent: string
}

/** Proving who a person is. */
export type Signin = ReturnType<typeof createSignin>

/** Sign-in: the sources, the checks of who somebody is, and browsers on their way through it. */
export function createSignin(deps: SigninDeps) {
  const sources = createSources(deps)
  const lockout = createLockout(deps)
  const sessions = createSessions(deps)
  const directories = createDirectories(deps)
  const admission = createAdmission({ ...deps, sources })
  const checkLocally = createLocalCheck(deps)
  const guarded = createGuard({ clock: deps.clock, lockout })
  const verify = createVerify({ sources, guarded, checkLocally, directories, admission })
  const providers = createProviders({ ...deps, clientSecretOf: sources.clientSecret })
  const { setPending, takePending, expire, ...webSessions } = sessions
  return {
    sources,
    /** The source with this id, kept from being deleted until `trx` ends; for those who write down its id. */
    findSource: sources.hold,
    /**
     * Checks a user name and password at a source (null: local accounts) and says whose they are. Slows down those who fail,
     * by account and network. Makes or links a user where the source does so. Not inside a transaction.
     */
    verify,
    /** Changes the password of a local account, given the old one. */
    changePassword: createPasswordChange({ ...deps, verify }),
    /** Tries a source for an administrator. */
    trySource: createTrial({ admission, sources, guarded, directories, checkLocally }),
    /** Sign-in at OpenID providers. */
    oidc: createOidc({ ...deps, sources, sessions: { setPending, takePending }, providers, ...admission }),
    /** Browsers on their way through a sign-in. */
    sessions: webSessions,
    /** Deletes sessions that have ended and failures that count no more. */
    async maintain(): Promise<void> {
      await expire()
      await lockout.expire()
    },
    /** Closes the connections to directories. */
    close: directories.close,
  }
}

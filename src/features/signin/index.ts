/** The door of signing in: proving who a person is, by a local password, a directory or an OpenID provider. */
export { signinApi } from './api.ts'
export { readBasic } from './basic.ts'
export { createSignin, type Signin } from './signin.ts'
export type { SignInRefusal, SignInResult } from './result.ts'
export type { WebSession } from './sessions/session.ts'

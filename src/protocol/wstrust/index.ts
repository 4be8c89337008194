export { checkPassword } from './check-password.ts'
export { discoverEndpoint, type Discovery } from './discovery.ts'
export type { Claims, PasswordResult } from './result.ts'
export { BEARER, ISSUE, ISSUE_ACTION, NS, PASSWORD_TEXT } from './vocabulary.ts'

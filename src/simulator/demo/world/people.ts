import type { DirectoryUser } from '../../directories/fake-wstrust.ts'
import type { Person } from '../../person.ts'

const RIGHT = 'correct horse battery'

/** People with an account of this server, as `POST /users` takes them; made when the demo starts. */
export function localAccounts(yesterday: Date): Record<string, unknown>[] {
  const account = (user_name: string, display_name: string, rest = {}) => ({
    user_name,
    display_name,
    password: RIGHT,
    ...rest,
  })
  return [
    account('anna', 'Anna Aebi', { device_limit: 1 }),
    account('ben', 'Ben Bucher', { password_expires_at: yesterday.toISOString() }),
    account('carla', 'Carla Conti', { must_change_password: true }),
    account('georg', 'Georg Graf', { disabled: true }),
    account('helga', 'Helga Huber', { enrollment_manager: true }),
    account('jan', 'Jan Jost'),
    account('karin', 'Karin Keller'),
    account('lukas', 'Lukas Leu'),
  ]
}

/** People in the directory. */
export const DIRECTORY_USERS: readonly DirectoryUser[] = [
  { userName: 'dora@example.com', displayName: 'Dora Dubois', password: RIGHT },
  { userName: 'emil@example.com', displayName: 'Emil Egli', password: RIGHT, state: 'mfa' },
  { userName: 'fina@example.com', displayName: 'Fina Frei', password: RIGHT },
]

/** People of the OpenID provider. */
export const PROVIDER_USERS = {
  'ines@example.com': { password: RIGHT, oneTimeCode: '418 902', claims: { name: 'Ines Iseli' } },
}

/** Somebody who types the right password, after `wrong` others. */
export function person(userName: string, wrong: readonly string[] = [], more: Partial<Person> = {}): Person {
  return { userName, passwords: [...wrong, RIGHT], ...more }
}

import { onTestFinished } from 'vitest'
import type { Db } from '../../../src/db/index.ts'
import { createOperators } from '../../../src/features/operators/index.ts'
import { createSignin, signinApi } from '../../../src/features/signin/index.ts'
import { createLog } from '../../../src/kernel/log.ts'
import { apiWorld, doorsOf } from '../../support/api-world.ts'
import { type ManualClock, manualClock } from '../../support/manual-clock.ts'
import { ACT } from '../../support/act.ts'
import { peopleOf } from '../../support/people.ts'

let names = 0

/** A name that no other test of the file has. */
export function newName(prefix = 'user'): string {
  names += 1
  return `${prefix}-${names}`
}

/** An address that no other test of the file has. */
export function newAddress(): string {
  names += 1
  return `10.0.${names >> 8}.${names & 255}`
}

/** Signing in over a test's database, with all that is logged and told. */
export function signinWorld(db: Db, options: { clock?: ManualClock; publicUrl?: string } = {}) {
  const { clock = manualClock(), publicUrl = 'http://127.0.0.1:8080' } = options
  const lines: string[] = []
  const doors = {
    ...doorsOf(db, clock),
    log: createLog({ level: 'trace', destination: { write: (line) => void lines.push(line) } }),
  }
  const { users } = peopleOf(doors)
  const signin = createSignin({ ...doors, users, publicUrl, userAgent: 'Firstboot test' })
  onTestFinished(() => signin.close())

  return {
    ...doors,
    users,
    signin,
    lines,
    /** The operator API of the sources. */
    api: () => apiWorld({ ...doors, operators: createOperators(doors), routes: signinApi({ signin }) }),
    /** Adds a local account. */
    account: (fields: Partial<Parameters<typeof users.create>[0]> = {}) =>
      users.create(
        {
          user_name: newName(),
          display_name: '',
          email: null,
          password: null,
          device_limit: null,
          enrollment_manager: false,
          disabled: false,
          must_change_password: false,
          password_expires_at: null,
          ...fields,
        },
        ACT,
      ),
    /** Tries to sign in from an address of its own. */
    verify: (userName: string, password: string, more: { sourceId?: string; address?: string } = {}) =>
      signin.verify({
        sourceId: null,
        address: newAddress(),
        requestId: 'request-1',
        ...more,
        userName,
        password,
      }),
    /** Tries a source, as an administrator from an address of their own. */
    trySource: (userName: string, password: string, id: string) =>
      signin.trySource({ id, userName, password, address: newAddress(), requestId: 'request-1' }),
  }
}

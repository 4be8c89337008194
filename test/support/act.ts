import type { Act } from '../../src/kernel/act.ts'

/** An act of an administrator of the tests, of whatever version of a thing. */
export const ACT: Act = {
  by: { kind: 'api_token', id: 'the-admin', name: 'tests' },
  via: 'api',
  makers: [],
  request_id: 'request-1',
  checkVersion: () => undefined,
}

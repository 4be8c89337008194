import { randomUUID } from 'node:crypto'
import type { Db } from '../../../src/db/index.ts'
import {
  type EnrollmentPolicies,
  createEnrollmentPolicies,
  enrollmentPoliciesApi,
} from '../../../src/features/enrollment-policies/index.ts'
import { createOperators } from '../../../src/features/operators/index.ts'
import { apiWorld } from '../../support/api-world.ts'
import { groupsWorld } from '../groups/world.ts'

/** What a policy says of automated enrollment where nobody did. */
export const DEFAULT_ADE = {
  enabled: false,
  department: null,
  support_phone_number: null,
  support_email_address: null,
  supervised: true,
  locked: false,
  pairing: 'allow',
  pairing_certificates: [],
  setup_assistant: {
    passcode: true,
    location_services: true,
    restore: true,
    apple_id: true,
    terms_and_conditions: true,
    touch_id: true,
    apple_pay: true,
    zoom: true,
    siri: true,
    diagnostics: true,
  },
  additional_skip_keys: [],
  minimum_os_version: null,
  await_device_configured: false,
  configuration_deadline_minutes: null,
  sign_in: 'native',
}

/** Where policies are. */
export const PATH = '/enrollment-policies'

/** A name that nothing else has. */
export const newName = () => `Policy ${randomUUID()}`

/** Policies and groups over a test's database, with their APIs. */
export async function policiesWorld(db: Db) {
  const { call: groupCall, ...doors } = await groupsWorld(db)
  const policies: EnrollmentPolicies = createEnrollmentPolicies({
    ...doors,
    signin: {
      findSource: (trx, id) =>
        trx
          .selectFrom('sign_in_sources')
          .select(['id', 'kind', 'name'])
          .where('id', '=', id)
          .executeTakeFirst(),
    },
  })
  const { call } = await apiWorld({
    ...doors,
    operators: createOperators(doors),
    routes: enrollmentPoliciesApi({ policies }),
  })
  doors.emitted.length = 0
  return { ...doors, groupCall, policies, call }
}

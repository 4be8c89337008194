import type { FastifyPluginAsync } from 'fastify'
import { Type } from 'typebox'
import { pageQuery } from '../../kernel/paging.ts'
import { resourceApi } from '../../kernel/resource-api.ts'
import { datesOf } from '../../kernel/schema.ts'
import type { EnrollmentPolicies } from './policies.ts'
import { newPolicySchema, policyPatchSchema, policySchema } from './api-schema.ts'
import { FIXED_UNTIL_ERASE, type Policy } from './schema.ts'

/** `/enrollment-policies`. */
export function enrollmentPoliciesApi(deps: {
  policies: Pick<EnrollmentPolicies, 'create' | 'get' | 'list' | 'remove' | 'update'>
}): FastifyPluginAsync {
  const { policies } = deps
  return resourceApi({
    path: '/enrollment-policies',
    id: 'The id of the enrollment policy.',
    view: policySchema,
    render,
    // The rules of policies name all problems at once, those of form and those of sense.
    takesAnyBody: true,
    create: {
      summary: 'Make an enrollment policy',
      description: 'With it comes its group, `EnrollmentProfile:<name>`.',
      body: newPolicySchema,
      run: policies.create,
    },
    list: {
      summary: 'Enrollment policies by name',
      description: 'Each with every field, those that were left out with their defaults.',
      query: Type.Object({
        ...pageQuery,
        name: Type.Optional(Type.String({ minLength: 1, description: 'Only the policy of this name.' })),
      }),
      run: policies.list,
    },
    get: {
      summary: 'One enrollment policy',
      description: 'With every field, those that were left out with their defaults.',
      run: policies.get,
    },
    update: {
      summary: 'Change an enrollment policy',
      description: 'A JSON merge patch; null gives the default. Its group is renamed with it.',
      body: policyPatchSchema,
      run: policies.update,
    },
    remove: {
      summary: 'Delete an enrollment policy and its group',
      description: 'Refused while devices have it, or an ADE server gives it to new ones.',
      run: policies.remove,
    },
  })
}

function render({ version: _version, ...policy }: Policy) {
  return { ...policy, fixed_until_erase: FIXED_UNTIL_ERASE, ...datesOf(policy) }
}

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifySchemaCompiler } from 'fastify'
import { type TSchema, Type } from 'typebox'
import { etagOf } from '../../kernel/etag.ts'
import { pageOf, pageQuery } from '../../kernel/paging.ts'
import { idParam, nothing } from '../../kernel/schema.ts'
import type { EnrollmentPolicies } from './policies.ts'
import { newPolicySchema, policyPatchSchema, policySchema } from './api-schema.ts'
import { FIXED_UNTIL_ERASE, type Policy } from './schema.ts'

const TAGS = ['Enrollment policies']

const params = idParam('The id of the enrollment policy.')

/** `/enrollment-policies`. */
export function enrollmentPoliciesApi(deps: {
  policies: Pick<EnrollmentPolicies, 'create' | 'get' | 'list' | 'remove' | 'update'>
}): FastifyPluginAsyncTypebox {
  const { policies } = deps
  return async (app) => {
    const validate = app.validatorCompiler as FastifySchemaCompiler<TSchema>
    // The rules of policies name all problems at once, those of form and those of sense.
    const validatorCompiler: FastifySchemaCompiler<TSchema> = (part) =>
      part.httpPart === 'body' ? (value: unknown) => ({ value }) : validate(part)

    app.post(
      '/enrollment-policies',
      {
        config: { role: 'admin', etag: true },
        validatorCompiler,
        schema: {
          tags: TAGS,
          summary: 'Make an enrollment policy',
          description: 'With it comes its group, `EnrollmentProfile:<name>`.',
          body: newPolicySchema,
          response: { 201: policySchema },
        },
      },
      async (request, reply) => {
        const policy = await policies.create(request.body, request.act)
        return reply
          .code(201)
          .headers({ location: `/api/v1/enrollment-policies/${policy.id}`, etag: etagOf(policy.version) })
          .send(render(policy))
      },
    )

    app.get(
      '/enrollment-policies',
      {
        config: { role: 'viewer' },
        schema: {
          tags: TAGS,
          summary: 'Enrollment policies by name',
          description: 'Each with every field, those that were left out with their defaults.',
          querystring: Type.Object({
            ...pageQuery,
            name: Type.Optional(Type.String({ minLength: 1, description: 'Only the policy of this name.' })),
          }),
          response: { 200: pageOf(policySchema) },
        },
      },
      async (request) => {
        const { items, next_cursor } = await policies.list(request.query)
        return { items: items.map(render), next_cursor }
      },
    )

    app.get(
      '/enrollment-policies/:id',
      {
        config: { role: 'viewer', etag: true },
        schema: {
          tags: TAGS,
          summary: 'One enrollment policy',
          description: 'With every field, those that were left out with their defaults.',
          params,
          response: { 200: policySchema },
        },
      },
      async (request, reply) => {
        const policy = await policies.get(request.params.id)
        return reply.header('etag', etagOf(policy.version)).send(render(policy))
      },
    )

    app.patch(
      '/enrollment-policies/:id',
      {
        config: { role: 'admin', etag: true },
        validatorCompiler,
        schema: {
          tags: TAGS,
          summary: 'Change an enrollment policy',
          description: 'A JSON merge patch; null gives the default. Its group is renamed with it.',
          params,
          body: policyPatchSchema,
          response: { 200: policySchema },
        },
      },
      async (request, reply) => {
        const policy = await policies.update(request.params.id, request.body, request.act)
        return reply.header('etag', etagOf(policy.version)).send(render(policy))
      },
    )

    app.delete(
      '/enrollment-policies/:id',
      {
        config: { role: 'admin', etag: true },
        schema: {
          tags: TAGS,
          summary: 'Delete an enrollment policy and its group',
          description: 'Refused while devices have it, or an ADE server gives it to new ones.',
          params,
          response: { 204: nothing },
        },
      },
      async (request, reply) => {
        await policies.remove(request.params.id, request.act)
        return reply.code(204).send()
      },
    )
  }
}

function render({ version: _version, created_at, updated_at, ...policy }: Policy) {
  return {
    ...policy,
    fixed_until_erase: FIXED_UNTIL_ERASE,
    created_at: created_at.toISOString(),
    updated_at: updated_at.toISOString(),
  }
}

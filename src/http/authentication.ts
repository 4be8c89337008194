import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Actor, type Role, hasRole } from '../features/operators/index.ts'
import { AppError } from '../kernel/errors.ts'
import { basicCredentials, bearerToken } from './credentials.ts'

/** Finds who a secret belongs to; undefined for an unknown or expired one. */
export type Authenticate = (secret: string) => Promise<Actor | undefined>

const BEARER = 'Bearer realm="Firstboot"'
const BASIC = 'Basic realm="Firstboot (any user name; the password is an API token)", charset="UTF-8"'

/**
 * Who calls, by API token; with `basic` it may be the password of Basic authentication too. Throws AppError
 * `unauthenticated`, having set WWW-Authenticate, or `forbidden` when the role is less than `role`.
 */
export async function requireActor(
  request: FastifyRequest,
  reply: FastifyReply,
  options: { authenticate: Authenticate; role: Role; basic: boolean },
): Promise<Actor> {
  const basic = options.basic ? basicCredentials(request.headers)?.password : undefined
  const secret = bearerToken(request.headers) ?? basic
  const actor = secret === undefined ? undefined : await options.authenticate(secret)
  if (actor === undefined) {
    const challenge = secret === undefined ? BEARER : `${BEARER}, error="invalid_token"`
    reply.header('www-authenticate', options.basic ? [BASIC, challenge] : challenge)
    throw new AppError('unauthenticated')
  }
  checkRole(actor, options.role)
  return actor
}

/** Throws AppError `forbidden` when the actor's role is less than `role`. */
export function checkRole(actor: Actor, role: Role): void {
  if (!hasRole(actor, role)) {
    throw new AppError('forbidden', `This needs the role ${role}; the token has ${actor.role}.`)
  }
}

/** Gives requests who makes them, and what a route asks of them beyond its own role. */
export function decorateWithActor(app: FastifyInstance): void {
  app.decorateRequest('actor')
  app.decorateRequest('requireRole', function (this: FastifyRequest, role: Role) {
    checkRole(this.actor, role)
  })
}

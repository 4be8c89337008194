import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Operator, type Role, hasRole } from '../features/operators/index.ts'
import type { Act } from '../kernel/act.ts'
import { AppError } from '../kernel/errors.ts'
import { checkIfMatch } from '../kernel/etag.ts'
import { basicCredentials, bearerToken } from './credentials.ts'

/** Finds who a secret belongs to; undefined for an unknown or expired one. */
export type Authenticate = (secret: string) => Promise<Operator | undefined>

/** How our command line calls itself; anybody may call themselves so. */
const CLI_AGENT = 'firstboot-cli'
const BEARER = 'Bearer realm="Firstboot"'
const BASIC = 'Basic realm="Firstboot (any user name; the password is an API token)", charset="UTF-8"'

/**
 * Who calls, by API token; with `basic` it may be the password of Basic authentication too. Throws AppError
 * `unauthenticated`, having set WWW-Authenticate.
 */
export async function requireOperator(
  request: FastifyRequest,
  reply: FastifyReply,
  options: { authenticate: Authenticate; basic: boolean },
): Promise<Operator> {
  const secret = secretOf(request, options.basic)
  const operator = secret === undefined ? undefined : await options.authenticate(secret)
  if (operator === undefined) {
    const challenge = secret === undefined ? BEARER : `${BEARER}, error="invalid_token"`
    reply.header('www-authenticate', options.basic ? [BASIC, challenge] : challenge)
    throw new AppError('unauthenticated')
  }
  return operator
}

/** Gives requests a way to ask whether their token is still valid, for answers that go on for long. */
export function decorateWithRenewal(app: FastifyInstance, authenticate: Authenticate): void {
  app.decorateRequest('isStillAllowed', async function (this: FastifyRequest) {
    const secret = secretOf(this, this.routeOptions.config.basic === true)
    const operator = secret === undefined ? undefined : await authenticate(secret)
    return operator !== undefined && hasRole(operator, this.routeOptions.config.role ?? 'viewer')
  })
}

function secretOf({ headers }: FastifyRequest, basic: boolean): string | undefined {
  return bearerToken(headers) ?? (basic ? basicCredentials(headers)?.password : undefined)
}

/** Throws AppError `forbidden` when the operator's role is less than `role`. */
export function checkRole(operator: Operator, role: Role): void {
  if (!hasRole(operator, role)) {
    throw new AppError('forbidden', `This needs the role ${role}; the token has ${operator.role}.`)
  }
}

/** Gives requests who makes them, what they ask for by that, and what a route asks of them beyond its own role. */
export function decorateWithOperator(app: FastifyInstance, api: 'api' | 'nanomdm'): void {
  app.decorateRequest('operator')
  app.decorateRequest('act', {
    getter(this: FastifyRequest): Act {
      const { operator, id, headers, asked } = this
      const { kind, name, makers } = operator
      return {
        by: { kind, id: operator.id, name },
        via: api === 'api' && headers['user-agent'] === CLI_AGENT ? 'cli' : api,
        makers,
        request_id: id,
        asked,
        checkVersion: (version) => checkIfMatch(headers['if-match'], version),
      }
    },
  })
  app.decorateRequest('requireRole', function (this: FastifyRequest, role: Role) {
    checkRole(this.operator, role)
  })
}

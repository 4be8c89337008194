import { X509Certificate } from 'node:crypto'
import { AppError } from '../../../kernel/errors.ts'
import { isLoopbackHost } from '../../../kernel/loopback.ts'
import { readPemBundle } from '../../../protocol/x509/index.ts'
import type { SourceFields } from '../schema.ts'
import type { Problem, Source } from './types.ts'

/** The relying party that Intune asks a directory for. */
const MICROSOFT_ONLINE = 'urn:federation:MicrosoftOnline'
const DEFAULT_SCOPES = ['openid', 'profile', 'email']

type FieldName = keyof SourceFields

/** Whom a source makes and becomes, unless it says otherwise. */
const RULES = { create_users: true, links_existing_users: false }

/** What each kind must and may say, with the defaults. */
const KINDS: Record<Source['kind'], { required: FieldName[]; defaults: Partial<SourceFields> }> = {
  local: { required: ['name'], defaults: {} },
  ws_trust: {
    required: ['name', 'url'],
    defaults: { applies_to: MICROSOFT_ONLINE, ca_pem: null, ...RULES },
  },
  oidc: {
    required: ['name', 'issuer', 'client_id'],
    defaults: { scopes: DEFAULT_SCOPES, user_name_claim: null, ca_pem: null, ...RULES },
  },
}

const CHECKS: Partial<Record<FieldName, (value: unknown) => string | undefined>> = {
  url: (value) => (typeof value === 'string' ? addressProblem(value, { isIssuer: false }) : undefined),
  issuer: (value) => (typeof value === 'string' ? addressProblem(value, { isIssuer: true }) : undefined),
  ca_pem: (value) => (typeof value === 'string' ? caProblem(value) : undefined),
  scopes: (value) =>
    Array.isArray(value) && value.includes('openid') ? undefined : 'must hold the scope openid',
}

/**
 * The whole description of a source of this kind, without its secret: what `given` says over what `before` said, with
 * defaults. Throws AppError `invalid_request` that names every field that is wrong, missing or of another kind.
 */
export function completeSource(
  kind: Source['kind'],
  given: SourceFields,
  before?: SourceFields,
): { name: string; create_users: boolean; links_existing_users: boolean; config: Record<string, unknown> } {
  const { required, defaults } = KINDS[kind]
  const named = Object.entries(given).filter(([, value]) => value !== undefined)
  const secrets: FieldName[] = kind === 'oidc' ? ['client_secret'] : []
  const known: string[] = [...required, ...secrets, ...Object.keys(defaults)]
  const foreign = named.filter(([name]) => !known.includes(name))
  const { client_secret: secret, ...said }: SourceFields = { ...before, ...Object.fromEntries(named) }
  const all: Record<string, unknown> = {
    ...defaults,
    ...Object.fromEntries(Object.entries(said).filter(([, value]) => value !== null)),
  }
  if (typeof all['scopes'] === 'string') all['scopes'] = all['scopes'].split(/ +/).filter(Boolean)
  const problems = [
    ...foreign.map(([path]) => ({ path, message: `is no field of a source of kind ${kind}` })),
    ...required.filter((path) => all[path] === undefined).map(missing),
    ...(before === undefined && secret === undefined ? secrets : []).map(missing),
    ...Object.entries(CHECKS).flatMap(([path, check]) => {
      const message = all[path] === undefined || !known.includes(path) ? undefined : check(all[path])
      return message === undefined ? [] : [{ path, message }]
    }),
  ]
  if (problems.length > 0) throw invalid(problems)
  const { name, create_users: creates = true, links_existing_users: links = false, ...config } = all
  return {
    name: String(name),
    create_users: creates === true,
    links_existing_users: links === true,
    config,
  }
}

function missing(path: string): Problem {
  return { path, message: 'is missing' }
}

/** The refusal of a request with these problems. */
function invalid(problems: readonly Problem[]): AppError {
  const [first] = problems
  return new AppError('invalid_request', first && `${first.path} ${first.message}.`, { fields: problems })
}

/** Whether an address may be called: https, or plain http on this machine. */
export function isAllowedAddress(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  return protocol === 'https:' || (protocol === 'http:' && isLoopbackHost(hostname))
}

function addressProblem(text: string, { isIssuer }: { isIssuer: boolean }): string | undefined {
  if (!URL.canParse(text)) return 'is no URL'
  if (!isAllowedAddress(text)) return 'must be https (plain http is for loopback addresses only)'
  const { username, password, search, hash } = new URL(text)
  if (username !== '' || password !== '') return 'must not hold a user name or password'
  if (hash !== '') return 'must not hold a fragment'
  if (isIssuer && search !== '') return 'must not hold a query'
  return undefined
}

function caProblem(pem: string): string | undefined {
  try {
    if (pem.includes('PRIVATE KEY')) return 'holds a private key, which nobody should have sent'
    const { certificates } = readPemBundle(pem)
    if (certificates.length === 0) return 'holds no certificate in PEM'
    for (const { der } of certificates) void new X509Certificate(der)
    return undefined
  } catch {
    return 'is not a list of certificates in PEM'
  }
}

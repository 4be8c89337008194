/** Every setting of the server; docs/configuration.md says what each means. */
export const VARIABLES = [
  'FIRSTBOOT_DATABASE_URL',
  'FIRSTBOOT_DATA_DIR',
  'FIRSTBOOT_HOST',
  'FIRSTBOOT_PORT',
  'FIRSTBOOT_OPERATOR_HOST',
  'FIRSTBOOT_OPERATOR_PORT',
  'FIRSTBOOT_PUBLIC_URL',
  'FIRSTBOOT_TLS_CERT_FILE',
  'FIRSTBOOT_TLS_KEY_FILE',
  'FIRSTBOOT_TRUSTED_PROXIES',
  'FIRSTBOOT_CLIENT_CERT_HEADER',
  'FIRSTBOOT_SECRET_KEY',
  'FIRSTBOOT_SECRET_KEY_FILE',
  'FIRSTBOOT_SECRET_KEY_PREVIOUS',
  'FIRSTBOOT_ADMIN_TOKEN',
  'FIRSTBOOT_DEVICE_CA_FILE',
  'FIRSTBOOT_ADE_URL',
  'FIRSTBOOT_ADE_CA_FILE',
  'FIRSTBOOT_APNS_URL',
  'FIRSTBOOT_APNS_CA_FILE',
  'FIRSTBOOT_ESCROW_URL',
  'FIRSTBOOT_ESCROW_CA_FILE',
  'FIRSTBOOT_DECLARATION_URL',
  'FIRSTBOOT_DECLARATION_HMAC_KEY',
  'FIRSTBOOT_DECLARATION_VERIFY_HMAC_KEY',
  'FIRSTBOOT_AUTHPROXY_URL',
  'FIRSTBOOT_MACHINE_INFO_TRUST',
  'FIRSTBOOT_MACHINE_INFO_CA_FILE',
  'FIRSTBOOT_ALLOW_PRIVATE_WEBHOOKS',
  'FIRSTBOOT_LOG_LEVEL',
] as const

/** What the command line's verbs read; the server knows the names and leaves them alone. */
const CLIENT_VARIABLES = ['FIRSTBOOT_URL', 'FIRSTBOOT_TOKEN'] as const

const PREFIX = 'FIRSTBOOT_'
/** Names that only tests use; never settings. */
const TEST_PREFIX = 'FIRSTBOOT_TEST_'

/** The name of a setting. */
export type Variable = (typeof VARIABLES)[number] | (typeof CLIENT_VARIABLES)[number]

/** The environment, as far as it is ours: flat, nothing checked, unset and empty values left out. */
export type Env = {
  readonly values: Readonly<Partial<Record<Variable, string>>>
  /** Names that look like ours and are none: most likely typing errors. */
  readonly unknown: readonly string[]
}

function isVariable(name: string): name is Variable {
  return ([...VARIABLES, ...CLIENT_VARIABLES] as string[]).includes(name)
}

/**
 * The settings in `source`. This file alone reads the environment of the process; space around a value
 * does not count, and a value of nothing but space is an unset one (as compose files leave them).
 */
export function readEnv(source: Readonly<Record<string, string | undefined>> = process.env): Env {
  const values: Partial<Record<Variable, string>> = {}
  const unknown: string[] = []
  for (const [name, raw] of Object.entries(source)) {
    if (!name.startsWith(PREFIX) || name.startsWith(TEST_PREFIX)) continue
    const value = raw?.trim() ?? ''
    if (!isVariable(name)) unknown.push(name)
    else if (value !== '') values[name] = value
  }
  return { values, unknown }
}

/** All variables of the process, for a program that starts itself anew. */
export function wholeEnvironment(): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )
}

/** Whether a script of package.json runs this program; so do programs that one started. */
export function isStartedByNpm(): boolean {
  return process.env['npm_lifecycle_event'] !== undefined
}

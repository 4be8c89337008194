import path from 'node:path'
import { nearest } from '../kernel/nearest.ts'
import { VARIABLES, type Env } from './env.ts'
import {
  type LogLevel,
  type MachineInfoTrust,
  parseFlag,
  parseHeaderName,
  parseHost,
  parseLogLevel,
  parsePort,
  parseProxies,
  parsePublicUrl,
  parseServiceUrl,
  parseTrust,
} from './parse.ts'
import { readCertificateAndKey, readCertificates } from './pem-files.ts'
import { ConfigError, type Reader, createReader } from './problems.ts'
import { readGivenSecrets } from './secrets.ts'

/** Where a listener binds; port 0 is any free one. */
type Listener = { readonly host: string; readonly port: number }

/** A service of Apple's; `caPem` = certificates to trust for it instead of the system's. */
type AppleService = { readonly url: string; readonly caPem: string | null }

/** What must be known before the database is; holds no secret, so it may be printed. */
export type Config = {
  readonly database: 'embedded' | 'postgres'
  /** Absolute path. */
  readonly dataDir: string
  /** All three scopes, or all but the operator's when that has a listener of its own. */
  readonly listener: Listener
  readonly operatorListener: Listener | null
  /** What devices are told: scheme, host and port, no final slash. */
  readonly publicUrl: string
  /** Files, as they are read again when they change. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null
  /** IP addresses and CIDR ranges. */
  readonly trustedProxies: readonly string[]
  /** In lower case. */
  readonly clientCertHeader: string | null
  readonly ade: AppleService
  readonly apns: AppleService
  /** Where codes that bypass an Activation Lock are taken. */
  readonly escrow: AppleService
  /** A server that is asked what devices ask of declarative management, and one for what enrolled devices ask of `/authproxy/`. */
  readonly declarationUrl: string | null
  readonly authProxyUrl: string | null
  readonly machineInfo: { readonly trust: MachineInfoTrust; readonly caPem: string | null }
  /** Webhooks may go to private and loopback addresses, and over http to loopback. */
  readonly allowPrivateWebhooks: boolean
  readonly logLevel: LogLevel
}

const DEFAULT_HOST = '127.0.0.1'
const DEFAULT_PORT = 8080
const APPLE_ADE_URL = 'https://mdmenrollment.apple.com'
const APPLE_APNS_URL = 'https://api.push.apple.com'
const APPLE_ESCROW_URL = 'https://deviceservices-external.apple.com/deviceservicesworkers/escrowKeyUnlock'

/** Checks every setting and builds the config. Throws one ConfigError that names all problems, secrets' included. */
export function loadConfig(env: Env): Config {
  const reader = createReader(env)
  env.unknown.forEach((name) => reader.note(name, `is not a setting${suggestion(name)}`))
  readGivenSecrets(reader)
  const listener = {
    host: reader.read('FIRSTBOOT_HOST', parseHost, DEFAULT_HOST),
    port: reader.read('FIRSTBOOT_PORT', parsePort, DEFAULT_PORT),
  }
  const tls = readTls(reader)
  const defaultPublicUrl = `${tls === null ? 'http' : 'https'}://127.0.0.1:${listener.port}`
  const config: Config = {
    database: reader.has('FIRSTBOOT_DATABASE_URL') ? 'postgres' : 'embedded',
    dataDir: path.resolve(reader.read('FIRSTBOOT_DATA_DIR', String, 'firstboot-data')),
    listener,
    operatorListener: readOperatorListener(reader, listener),
    publicUrl: reader.read('FIRSTBOOT_PUBLIC_URL', parsePublicUrl, defaultPublicUrl),
    tls,
    ...readProxies(reader),
    ade: readService(reader, 'FIRSTBOOT_ADE', APPLE_ADE_URL),
    apns: readService(reader, 'FIRSTBOOT_APNS', APPLE_APNS_URL),
    escrow: readService(reader, 'FIRSTBOOT_ESCROW', APPLE_ESCROW_URL),
    declarationUrl: reader.read('FIRSTBOOT_DECLARATION_URL', parseServiceUrl, null),
    authProxyUrl: reader.read('FIRSTBOOT_AUTHPROXY_URL', parseServiceUrl, null),
    machineInfo: {
      trust: reader.read('FIRSTBOOT_MACHINE_INFO_TRUST', parseTrust, 'enforce'),
      caPem: reader.read('FIRSTBOOT_MACHINE_INFO_CA_FILE', readCertificates, null),
    },
    allowPrivateWebhooks: reader.read('FIRSTBOOT_ALLOW_PRIVATE_WEBHOOKS', parseFlag, false),
    logLevel: reader.read('FIRSTBOOT_LOG_LEVEL', parseLogLevel, 'info'),
  }
  if (reader.problems.length > 0) throw new ConfigError(reader.problems)
  return config
}

function readTls(reader: Reader): Config['tls'] {
  const certFile = reader.read('FIRSTBOOT_TLS_CERT_FILE', String, null)
  const keyFile = reader.read('FIRSTBOOT_TLS_KEY_FILE', String, null)
  if (certFile !== null && keyFile !== null) {
    reader.read('FIRSTBOOT_TLS_CERT_FILE', () => readCertificateAndKey(certFile, keyFile), null)
    return { certFile, keyFile }
  }
  if (certFile !== null)
    reader.note('FIRSTBOOT_TLS_KEY_FILE', 'must be set together with FIRSTBOOT_TLS_CERT_FILE')
  if (keyFile !== null)
    reader.note('FIRSTBOOT_TLS_CERT_FILE', 'must be set together with FIRSTBOOT_TLS_KEY_FILE')
  return null
}

function readOperatorListener(reader: Reader, main: Listener): Listener | null {
  const host = reader.read('FIRSTBOOT_OPERATOR_HOST', parseHost, DEFAULT_HOST)
  const port = reader.read('FIRSTBOOT_OPERATOR_PORT', parsePort, null)
  if (!reader.has('FIRSTBOOT_OPERATOR_PORT')) {
    if (reader.has('FIRSTBOOT_OPERATOR_HOST')) {
      reader.note('FIRSTBOOT_OPERATOR_PORT', 'must be set when FIRSTBOOT_OPERATOR_HOST is')
    }
    return null
  }
  if (port !== null && port !== 0 && port === main.port) {
    reader.note('FIRSTBOOT_OPERATOR_PORT', `must be another port than FIRSTBOOT_PORT, which is ${port} too`)
  }
  return port === null ? null : { host, port }
}

function readProxies(reader: Reader): Pick<Config, 'trustedProxies' | 'clientCertHeader'> {
  const trustedProxies = reader.read('FIRSTBOOT_TRUSTED_PROXIES', parseProxies, [])
  const clientCertHeader = reader.read('FIRSTBOOT_CLIENT_CERT_HEADER', parseHeaderName, null)
  if (clientCertHeader !== null && !reader.has('FIRSTBOOT_TRUSTED_PROXIES')) {
    reader.note(
      'FIRSTBOOT_CLIENT_CERT_HEADER',
      'needs FIRSTBOOT_TRUSTED_PROXIES: the header counts from trusted addresses only',
    )
  }
  return { trustedProxies, clientCertHeader }
}

function readService(
  reader: Reader,
  name: 'FIRSTBOOT_ADE' | 'FIRSTBOOT_APNS' | 'FIRSTBOOT_ESCROW',
  url: string,
): AppleService {
  return {
    url: reader.read(`${name}_URL`, parseServiceUrl, url),
    caPem: reader.read(`${name}_CA_FILE`, readCertificates, null),
  }
}

/** Names the setting that was most likely meant, if one differs by little. */
function suggestion(name: string): string {
  const near = nearest(name, VARIABLES, () => 2)
  return near === undefined ? '' : `; is ${near} meant?`
}

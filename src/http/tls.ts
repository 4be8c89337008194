import { constants } from 'node:crypto'
import { unwatchFile, watchFile } from 'node:fs'
import type { ServerOptions } from 'node:https'
import type { Server } from 'node:tls'
import { readCertificateAndKey } from '../config/pem-files.ts'
import type { Log } from '../kernel/log.ts'
import { words } from '../kernel/words.ts'

const POLL_INTERVAL_MS = 5_000
/** Of TLS 1.3 all; of TLS 1.2 those with forward secrecy and authenticated encryption, as Apple's ATS asks for. */
const CIPHERS = words(`
  TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256 TLS_AES_128_GCM_SHA256
  ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305
  ECDHE-RSA-CHACHA20-POLY1305 ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256
`).join(':')

/** Where certificate and key are, in PEM. */
type TlsFiles = { readonly certFile: string; readonly keyFile: string }

/**
 * Options of a TLS server. With `clientCertificates` one is asked for but none is needed, and none is judged here:
 * that is for the device endpoints, which know their own CAs.
 */
export function tlsOptions(
  files: TlsFiles,
  { clientCertificates, handshakeTimeout }: { clientCertificates: boolean; handshakeTimeout: number },
): ServerOptions {
  return {
    ...secureContext(files),
    requestCert: clientCertificates,
    rejectUnauthorized: false,
    handshakeTimeout,
  }
}

/**
 * Keeps the servers on the newest certificate: watches the files by their times, which also sees links that change their
 * target and volumes that are swapped.
 */
export function watchTls(files: TlsFiles, servers: readonly Server[], log: Log, interval = POLL_INTERVAL_MS) {
  const paths = [...new Set([files.certFile, files.keyFile])]

  /** Reads the files again; what is not usable is logged and leaves the present certificate in use. */
  function reload(): void {
    try {
      const context = secureContext(files)
      servers.forEach((server) => server.setSecureContext(context))
      log.info({ event: 'tls.reloaded' }, 'the TLS certificate was read anew')
    } catch (error) {
      // Mostly the moment between the writing of two files; the second one's change comes here again.
      log.error(
        { event: 'tls.reload_failed', err: error },
        'the TLS certificate could not be read anew; the one before stays in use',
      )
    }
  }

  paths.forEach((path) => watchFile(path, { interval, persistent: false }, reload))
  return { reload, stop: () => paths.forEach((path) => unwatchFile(path, reload)) }
}

function secureContext({ certFile, keyFile }: TlsFiles) {
  const { certificatePem, keyPem } = readCertificateAndKey(certFile, keyFile)
  return {
    cert: certificatePem,
    key: keyPem,
    minVersion: 'TLSv1.2' as const,
    ciphers: CIPHERS,
    // A renegotiation could change the client's certificate in the middle of a connection.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  }
}

const MAX_LENGTH = 32_768
const PEM_BEGIN = '-----BEGIN CERTIFICATE-----'
const PEM_END = '-----END CERTIFICATE-----'
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/

/**
 * The certificate (DER) in a proxy's header: a byte sequence of RFC 9440 (`:base64:`), PEM (URL-escaped, or with spaces for
 * its line ends), base64 of PEM or DER without anything around it (HAProxy, Traefik, URL-escaped too), or the `Cert` of
 * Envoy's X-Forwarded-Client-Cert. Undefined unless it is exactly one: of several nobody could say which was proved.
 */
export function readCertificateHeader(header: string): Buffer | undefined {
  const value = header.trim()
  if (value.length > MAX_LENGTH) return undefined
  if (value.startsWith(':')) return value.endsWith(':') ? decode(value.slice(1, -1)) : undefined
  const text = unescaped(certificateOfEnvoy(value) ?? value)
  return text === undefined ? undefined : decode(bodyOf(text))
}

function unescaped(text: string): string | undefined {
  try {
    return text.includes('%') ? decodeURIComponent(text) : text
  } catch {
    return undefined
  }
}

/** What is between the lines of a PEM certificate, or all where there are no such lines; without white space. */
function bodyOf(text: string): string {
  const body = text.trim()
  const isPem = body.startsWith(PEM_BEGIN) && body.endsWith(PEM_END)
  return (isPem ? body.slice(PEM_BEGIN.length, -PEM_END.length) : body).replaceAll(/\s/g, '')
}

function decode(base64: string): Buffer | undefined {
  const der = BASE64.test(base64) ? Buffer.from(base64, 'base64') : undefined
  return der !== undefined && isOneSequence(der) ? der : undefined
}

/**
 * Whether the bytes are one DER sequence of 256 to 65,535 bytes, as every certificate is. What is in it is for those who
 * identify the device: they remember certificates, and parsing each anew at every poll would cost more than the poll.
 */
function isOneSequence(der: Buffer): boolean {
  return der.length > 4 && der.readUInt16BE(0) === 0x3082 && der.readUInt16BE(2) === der.length - 4
}

/**
 * The `Cert` of X-Forwarded-Client-Cert (Envoy, HTTP connection manager): `Key=value` pairs, `;` between them, `,` between
 * proxies, values in quotes where they hold such signs. Undefined for what is no such header; of several proxies, or with
 * several such keys, it is all that is behind the first, which is then no certificate.
 */
function certificateOfEnvoy(value: string): string | undefined {
  let quoted = false
  let start = 0
  let found: string | undefined
  for (let at = 0; at <= value.length; at += 1) {
    const char = value[at]
    if (quoted && char === '\\') at += 1
    else if (char === '"') quoted = !quoted
    else if (char === undefined || (!quoted && (char === ';' || char === ','))) {
      const pair = value.slice(start, at)
      const isCertificate = pair.toLowerCase().startsWith('cert=')
      if (found !== undefined && (isCertificate || value[start - 1] === ',')) return value
      if (isCertificate) found = pair.slice('cert='.length).replaceAll('"', '')
      start = at + 1
    }
  }
  return found
}

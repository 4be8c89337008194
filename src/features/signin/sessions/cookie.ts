const NAME = 'firstboot_enroll'
const PATH = '/enroll'
const MAX_HEADER = 16_384
/** An id, or a whole session, sealed. */
const VALUE = /^(?:[\w-]{43}|s\.[\w-]{1,2000})$/

/**
 * The cookie of web sessions: how it is set, taken back and read. Not for scripts; Lax, as an OpenID provider leads back from
 * another site by a link. Where the public URL is https it is `Secure`, and has the prefix (RFC 6265bis, section 4.1.3.2) of
 * cookies that neither plain http nor another host can set: such a one has no path of its own. Else it is for `/enroll` alone.
 */
export function createSessionCookie(publicUrl: string) {
  const isSecure = publicUrl.startsWith('https:')
  const name = isSecure ? `__Host-${NAME}` : NAME
  const attributes = `Path=${isSecure ? '/' : PATH}; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`
  return {
    /** The Set-Cookie header for a session of this id, or one that is in the cookie itself. */
    set: (value: string, maxAgeSeconds: number) =>
      `${name}=${value}; Max-Age=${maxAgeSeconds}; ${attributes}`,
    /** The Set-Cookie header that takes it back. */
    clear: () => `${name}=; Max-Age=0; ${attributes}`,
    /** The values in a Cookie header: more than one when somebody else has set such a cookie too. */
    read(header = ''): string[] {
      if (header.length > MAX_HEADER) return []
      const pairs = header.split(';').map((pair) => pair.trim().split('=', 2))
      return pairs.flatMap(([key, value = '']) => (key === name && VALUE.test(value) ? [value] : []))
    },
  }
}

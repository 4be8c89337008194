type Base = {
  id: string
  name: string
  /** Whether someone whom the source vouches for becomes a user. */
  create_users: boolean
  /** Whether a first sign-in may become a user who has a password or another link. */
  links_existing_users: boolean
  version: number
  created_at: Date
  updated_at: Date
}

/** The accounts of this server. */
type LocalSource = Base & { kind: 'local' }

/** A directory that is asked with the user's name and password. */
export type WsTrustSource = Base & {
  kind: 'ws_trust'
  /** The UsernameMixed endpoint, or a MEX document that names it. */
  url: string
  applies_to: string
  /** CAs to trust besides those of the system. */
  ca_pem: string | null
}

/** An OpenID provider, on whose own page people sign in. */
export type OidcSource = Base & {
  kind: 'oidc'
  issuer: string
  client_id: string
  scopes: string[]
  /** The claim that names the user; null = `preferred_username`, else a verified `email`. */
  user_name_claim: string | null
  ca_pem: string | null
}

/** Where people prove who they are. Secrets are not in it. */
export type Source = LocalSource | WsTrustSource | OidcSource

/** The id of the one local source. */
export const LOCAL = 'local'

/** A field that is wrong, and how. */
export type Problem = { path: string; message: string }

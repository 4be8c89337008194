import { writePlist } from '../plist/index.ts'

/** The answer to GetBootstrapToken; without a stored token the data is empty, which is not an error. */
export function buildGetBootstrapTokenResponse(token: Uint8Array | undefined): Buffer<ArrayBuffer> {
  return Buffer.from(writePlist({ BootstrapToken: token ?? new Uint8Array() }))
}

/** The answer to a first UserAuthenticate. An empty challenge accepts the user without a password. */
export function buildUserAuthenticateChallenge(challenge: string): Buffer<ArrayBuffer> {
  return Buffer.from(writePlist({ DigestChallenge: challenge }))
}

/** The answer to ReturnToService that leaves the device in Setup Assistant, to be enrolled by hand. */
export function buildReturnToServiceRefusal(): Buffer<ArrayBuffer> {
  return Buffer.from(writePlist({ ReturnToService: { Enabled: false } }))
}

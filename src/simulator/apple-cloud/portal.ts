import { AppError } from '../../kernel/errors.ts'
import { sealServerToken } from '../../protocol/ade/index.ts'
import { parseCertificate, readPem, type Certificate } from '../../protocol/x509/index.ts'
import type { AppleDeviceFacts, AppleServer, Organization } from './organization.ts'

/** How a server token file is encrypted; 3DES unless said otherwise. */
type TokenOptions = NonNullable<Parameters<typeof sealServerToken>[2]>

/** What an administrator uploads, and with which account. */
type ServerFile = TokenOptions & { certificatePem: string; appleId?: string }

const DEFAULT_APPLE_ID = 'admin@example.com'

/** The web portal of an organisation: what an administrator does there, as functions. Servers are named by their name. */
export type AdePortal = ReturnType<typeof createAdePortal>

/** The portal of an organisation. */
export function createAdePortal(organization: Organization) {
  function find(name: string): AppleServer {
    const server = organization.servers.find((each) => each.name === name && !each.deleted)
    if (server === undefined) throw new RangeError(`the portal has no server ${name}`)
    return server
  }
  const findOrNone = (name: string | null) => (name === null ? undefined : find(name))

  /** Refused is what holds no certificate with a key that a token can be encrypted to. */
  function readKey(certificatePem: string): Certificate {
    try {
      const block = readPem(certificatePem).find(({ label }) => label === 'CERTIFICATE')
      const certificate = block && parseCertificate(block.der)
      if (certificate?.publicKey().asymmetricKeyType === 'rsa') return certificate
    } catch (error) {
      if (!(error instanceof AppError)) throw error
    }
    throw new RangeError('the file for the portal holds no certificate with an RSA key')
  }

  function seal(server: AppleServer, certificate: Certificate, options: TokenOptions): Buffer {
    const token = { ...server.credentials, expiresAt: server.tokenExpiresAt }
    return Buffer.from(sealServerToken(token, certificate, options))
  }

  return {
    /**
     * A new MDM server; gives the bytes of its token file (`.p7m`), for the key of that certificate. A RangeError, and
     * nothing of a server, when the file or the name cannot be taken.
     */
    addServer(asked: ServerFile & { name: string }): Buffer {
      const { name, certificatePem, appleId = DEFAULT_APPLE_ID, ...options } = asked
      const certificate = readKey(certificatePem)
      if (organization.servers.some((server) => server.name === name && !server.deleted)) {
        throw new RangeError(`the portal has a server ${name} already`)
      }
      return seal(organization.addServer(name, appleId), certificate, options)
    },
    /** The token file anew: the same consumer key, another access token; the old token is void. */
    renew(name: string, { certificatePem, appleId, ...options }: ServerFile): Buffer {
      const server = find(name)
      const certificate = readKey(certificatePem)
      server.appleId = appleId ?? server.appleId
      organization.renewToken(server)
      return seal(server, certificate, options)
    },
    /** Removes a server; its token has no access any more and its devices belong to none. */
    removeServer(name: string) {
      const server = find(name)
      for (const device of organization.devices.values()) {
        if (device.server === server) organization.place(device.facts, undefined)
      }
      server.deleted = true
    },
    /** Buys devices, or assigns those that are there, to a server; null = to none. */
    addDevices(devices: readonly (string | AppleDeviceFacts)[], server: string | null) {
      const target = findOrNone(server)
      for (const device of devices) {
        organization.place(typeof device === 'string' ? { serialNumber: device } : device, target)
      }
    },
    /** To another server, or to none. */
    moveDevice: (serialNumber: string, server: string | null) =>
      void organization.place(organization.device(serialNumber).facts, findOrNone(server)),
    /** Sells a device: it leaves the organisation. */
    removeDevice: organization.remove,
    /** Somebody else gives a device another profile, or takes it away (null): drift. */
    setProfile: (serialNumber: string, uuid: string | null) =>
      organization.setProfile(organization.device(serialNumber), uuid ?? undefined),
    /** Apple has new terms, or somebody agrees to them; for one server or all. */
    signTerms(signed: boolean, name?: string) {
      for (const server of organization.servers) {
        if (name === undefined || server.name === name) server.termsSigned = signed
      }
    },
  }
}

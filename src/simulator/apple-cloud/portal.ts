import { AppError } from '../../kernel/errors.ts'
import { sealServerToken } from '../../protocol/ade/index.ts'
import { parseCertificate, readPem, type Certificate } from '../../protocol/x509/index.ts'
import type { AppleDeviceFacts, AppleServer, Organization } from './organization.ts'

/** How a server token file is encrypted; 3DES unless said otherwise. */
type TokenOptions = NonNullable<Parameters<typeof sealServerToken>[2]>

/** The web portal of an organisation: what an administrator does there, as functions. Servers are named by their name. */
export interface AdePortal {
  /**
   * A new MDM server; gives the bytes of its token file (`.p7m`), for the key of that certificate. A RangeError, and nothing
   * of a server, when the file or the name cannot be taken.
   */
  addServer(options: { name: string; certificatePem: string; appleId?: string } & TokenOptions): Buffer
  /** The token file anew: the same consumer key, another access token; the old token is void. */
  renew(name: string, options: { certificatePem: string; appleId?: string } & TokenOptions): Buffer
  /** Removes a server; its token has no access any more and its devices belong to none. */
  removeServer(name: string): void
  /** Buys devices, or assigns those that are there, to a server; null = to none. */
  addDevices(devices: readonly (string | AppleDeviceFacts)[], server: string | null): void
  /** To another server, or to none. */
  moveDevice(serialNumber: string, server: string | null): void
  /** Sells a device: it leaves the organisation. */
  removeDevice(serialNumber: string): void
  /** Somebody else gives a device another profile, or takes it away (null): drift. */
  setProfile(serialNumber: string, uuid: string | null): void
  /** Apple has new terms, or somebody agrees to them; for one server or all. */
  signTerms(signed: boolean, server?: string): void
}

const DEFAULT_APPLE_ID = 'admin@example.com'

/** The portal of an organisation. */
export function createAdePortal(organization: Organization): AdePortal {
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
    addServer({ name, certificatePem, appleId = DEFAULT_APPLE_ID, ...options }) {
      const certificate = readKey(certificatePem)
      if (organization.servers.some((server) => server.name === name && !server.deleted)) {
        throw new RangeError(`the portal has a server ${name} already`)
      }
      return seal(organization.addServer(name, appleId), certificate, options)
    },
    renew(name, { certificatePem, appleId, ...options }) {
      const server = find(name)
      const certificate = readKey(certificatePem)
      server.appleId = appleId ?? server.appleId
      organization.renewToken(server)
      return seal(server, certificate, options)
    },
    removeServer(name) {
      const server = find(name)
      for (const device of organization.devices.values()) {
        if (device.server === server) organization.place(device.facts, undefined)
      }
      server.deleted = true
    },
    addDevices(devices, server) {
      const target = findOrNone(server)
      for (const device of devices) {
        organization.place(typeof device === 'string' ? { serialNumber: device } : device, target)
      }
    },
    moveDevice: (serialNumber, server) =>
      void organization.place(organization.device(serialNumber).facts, findOrNone(server)),
    removeDevice: (serialNumber) => organization.remove(serialNumber),
    setProfile: (serialNumber, uuid) =>
      organization.setProfile(organization.device(serialNumber), uuid ?? undefined),
    signTerms(signed, name) {
      for (const server of organization.servers) {
        if (name === undefined || server.name === name) server.termsSigned = signed
      }
    },
  }
}

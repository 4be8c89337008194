import { randomBytes, randomUUID } from 'node:crypto'
import { addTime, type Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import type { OAuthCredentials } from '../../protocol/ade/index.ts'

/** What a device is, for Apple's lists; everything but the serial number has a default. */
export interface AppleDeviceFacts {
  serialNumber: string
  model?: string
  description?: string
  color?: string
  assetTag?: string
  deviceFamily?: 'iPhone' | 'iPad' | 'Mac' | 'AppleTV'
  migrationDeadline?: Date
}

/** A device of the organisation, as Apple keeps it. */
export interface AppleDevice {
  readonly facts: AppleDeviceFacts
  /** Undefined: assigned to no MDM server. */
  server: AppleServer | undefined
  assignedAt: Date
  profileStatus: 'empty' | 'assigned' | 'pushed' | 'removed'
  profileUuid: string | undefined
  profileAssignedAt: Date | undefined
  profilePushedAt: Date | undefined
}

/** An ADE profile as it was defined, with its owner. */
interface AppleProfile {
  readonly uuid: string
  readonly server: AppleServer
  readonly content: Readonly<Record<string, unknown>>
}

/** What a device gets at activation when a profile is assigned to its serial number. */
export interface ActivationProfile {
  uuid: string
  organization: string
  /** The JSON that the MDM server defined. */
  content: Readonly<Record<string, unknown>>
}

/** An entry of what happened to the devices of a server, in order. */
export interface Operation {
  readonly kind: 'added' | 'modified' | 'deleted'
  readonly at: Date
  readonly device: AppleDevice
}

/** An MDM server of the portal. */
export interface AppleServer {
  readonly uuid: string
  readonly name: string
  appleId: string
  credentials: OAuthCredentials
  tokenExpiresAt: Date
  /** Removed in the portal: its token has no access any more. */
  deleted: boolean
  /** The organisation has agreed to Apple's terms. */
  termsSigned: boolean
  readonly operations: Operation[]
  /** Where the newest operation of each serial number is. */
  readonly latest: Map<string, number>
}

/** All that Apple knows of one organisation. */
export type Organization = ReturnType<typeof createOrganization>

const TOKEN_DAYS = 365
/** Of a device with no server and no profile. */
const UNASSIGNED = {
  server: undefined,
  profileStatus: 'empty',
  profileUuid: undefined,
  profileAssignedAt: undefined,
  profilePushedAt: undefined,
} as const

/** An organisation without servers and devices. */
export function createOrganization(name: string, clock: Clock) {
  const devices = new Map<string, AppleDevice>()
  const profiles = new Map<string, AppleProfile>()
  const servers: AppleServer[] = []

  function note(kind: Operation['kind'], device: AppleDevice, at = clock.now()): void {
    const { server } = device
    if (server === undefined) return
    server.latest.set(device.facts.serialNumber, server.operations.length)
    server.operations.push({ kind, at, device })
  }

  function leave(device: AppleDevice): void {
    note('deleted', device)
    Object.assign(device, UNASSIGNED)
  }

  /** Refuses `not_found`. */
  function find(serialNumber: string): AppleDevice {
    const found = devices.get(serialNumber)
    if (found === undefined) throw new AppError('not_found', `the organisation has no device ${serialNumber}`)
    return found
  }

  return {
    name,
    id: String(randomBytes(4).readUInt32BE()),
    servers,
    devices,
    profiles,
    device: find,
    addServer(serverName: string, appleId: string): AppleServer {
      const server: AppleServer = {
        uuid: randomUUID().toUpperCase(),
        name: serverName,
        appleId,
        deleted: false,
        termsSigned: true,
        credentials: newCredentials(),
        tokenExpiresAt: addTime(clock.now(), TOKEN_DAYS, 'day'),
        operations: [],
        latest: new Map(),
      }
      servers.push(server)
      return server
    },
    /** A new access token, under the same consumer key; the old one is void. */
    renewToken(server: AppleServer) {
      server.credentials = { ...newCredentials(), consumerKey: server.credentials.consumerKey }
      server.tokenExpiresAt = addTime(clock.now(), TOKEN_DAYS, 'day')
    },
    /** Brings a device into the organisation, or takes the one that is there; assigned to that server from now on. */
    place(facts: AppleDeviceFacts, server: AppleServer | undefined): AppleDevice {
      const device: AppleDevice = devices.get(facts.serialNumber) ?? {
        facts,
        assignedAt: clock.now(),
        ...UNASSIGNED,
      }
      devices.set(facts.serialNumber, device)
      if (device.server === server) return device
      leave(device)
      device.server = server
      device.assignedAt = clock.now()
      note('added', device, device.assignedAt)
      return device
    },
    /** Out of the organisation, for ever. */
    remove(serialNumber: string) {
      leave(find(serialNumber))
      devices.delete(serialNumber)
    },
    /** Another profile for a device, or none. */
    setProfile(device: AppleDevice, uuid: string | undefined) {
      const wasFetched = device.profileStatus === 'pushed'
      device.profileUuid = uuid
      device.profileStatus = uuid !== undefined ? 'assigned' : wasFetched ? 'removed' : 'empty'
      device.profileAssignedAt = uuid === undefined ? undefined : clock.now()
      device.profilePushedAt = undefined
      note('modified', device)
    },
    /** The device has fetched its profile. */
    markPushed(device: AppleDevice) {
      device.profileStatus = 'pushed'
      device.profilePushedAt = clock.now()
      note('modified', device)
    },
  }
}

function newCredentials(): OAuthCredentials {
  const secret = (prefix: string) => `${prefix}_${randomBytes(20).toString('hex')}`
  return {
    consumerKey: secret('CK'),
    consumerSecret: secret('CS'),
    accessToken: secret('AT'),
    accessSecret: secret('AS'),
  }
}

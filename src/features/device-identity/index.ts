import type { Db, Tx } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import { createKeyUnwrapper, signData } from '../../protocol/cms/index.ts'
import type { Attempts, Strangers } from '../attempts/index.ts'
import type { Events } from '../events/index.ts'
import { createAuthority, type ImportedCa } from './authority.ts'
import { createBindings } from './bindings.ts'
import { createChallenges } from './challenges.ts'
import { createIssuance } from './issuance.ts'
import { scepRoutes } from './routes.ts'
import { createScep } from './scep.ts'
import type { LinkPurpose, Purpose } from './types.ts'
import { createVerification } from './verification.ts'

export type { Binding, Credentials, Proof } from './types.ts'

/** Threads that decrypt the content keys of SCEP requests, half a millisecond each. */
const UNWRAP_THREADS = 1

/** The device CA, its SCEP service, and the table that says which certificate is which enrollment. */
export type DeviceIdentity = ReturnType<typeof createDeviceIdentity>

/** The door of the slice; `authority.ready()` must have ended before a device is served. */
export function createDeviceIdentity(deps: {
  db: Db
  clock: Clock
  log: Log
  events: Events
  attempts: Attempts
  strangers: Pick<Strangers, 'note'>
  secretBox: SecretBox
  /** A CA to take over; null = one of our own, made at the first start. */
  deviceCa: ImportedCa | null
}) {
  const authority = createAuthority({ ...deps, imported: deps.deviceCa })
  const challenges = createChallenges(deps)
  const bindings = createBindings(deps)
  const { identify, ...verification } = createVerification({ ...deps, authority })
  const issuance = createIssuance({ ...deps, authority, challenges, bindings, identify })
  const unwrapper = createKeyUnwrapper({ threads: UNWRAP_THREADS })
  const scep = createScep({ ...deps, authority, issuance, unwrap: unwrapper.unwrap })

  return {
    authority: { ready: authority.ready, trust: authority.trust, trusted: authority.trusted },
    /** A new challenge for an attempt, or for the renewal of an enrollment's certificate: for one key, for 15 minutes by default. */
    async newChallenge(trx: Tx, purpose: Purpose, minutes?: number): Promise<string> {
      const [secret = ''] = await challenges.create(trx, [purpose], minutes)
      return secret
    },
    /** Challenges and how they are kept, for a statement that writes more than them. */
    makeChallenges: challenges.make,
    /** Challenges of links, with which attempts will begin, in their order. Those that nobody uses are bounded for each link. */
    newLinkChallenges: (trx: Tx, purposes: readonly LinkPurpose[]): Promise<string[]> =>
      challenges.createForLinks(trx, purposes),
    /** Makes what was given out for attempts worthless. */
    voidChallenges: (trx: Tx, ...attemptIds: string[]): Promise<void> => challenges.voidOf(trx, attemptIds),
    /** Job: forgets challenges that expired long ago. */
    deleteOldChallenges: (): Promise<void> => challenges.deleteOld(),
    identify,
    ...verification,
    ...bindings,
    /** DER of the CA that issues. */
    caCertificate: (): Buffer => authority.issuing().certificate.der,
    /** The profile in a CMS signature (RFC 5652) of our profile signer. */
    signProfile(profile: Uint8Array): Promise<Buffer> {
      const signer = authority.profileSigner()
      const certificates = [signer.certificate, authority.issuing().certificate]
      return signData({ content: profile, signer, certificates, signingTime: deps.clock.now() })
    },
    /** Fastify plugin for the device scope. */
    routes: scepRoutes(scep),
    /** Waits for what is being recorded and ends the threads. */
    async close(): Promise<void> {
      await issuance.idle()
      await unwrapper.close()
    },
  }
}

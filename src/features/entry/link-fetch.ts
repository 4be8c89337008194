import { createGroupCommit, type Db } from '../../db/index.ts'
import { newId } from '../../kernel/ids.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { ReasonCode, Strangers } from '../attempts/index.ts'
import type { DeviceIdentity } from '../device-identity/index.ts'
import type { Users } from '../users/index.ts'
import type { Links } from './links.ts'
import { renderProfile } from './profile.ts'
import type { StoredLink } from './links-store.ts'

/** What whoever opens a link gets. */
type LinkAnswer = { profile: Buffer } | { refused: ReasonCode }

/** What answering a link takes. */
export interface LinkFetchDeps {
  db: Db
  clock: Clock
  strangers: Pick<Strangers, 'note'>
  users: Pick<Users, 'find'>
  identity: Pick<DeviceIdentity, 'newLinkChallenges' | 'signProfile'>
  links: Pick<Links, 'byKey' | 'refusalOf'>
  publicUrl: string
  instanceId: string
  /** The topic of the push certificate in use; null without a valid one. */
  currentTopic: () => Promise<string | null>
}

type User = Awaited<ReturnType<Users['find']>>

/** What a challenge is made for: the attempt that will begin with it. */
interface Grant {
  attemptId: string
  linkId: string
  user: { id: string; name: string } | undefined
}

const LINKS_AT_ONCE = 64
const LANES = { postgres: 2, embedded: 1 } as const

/**
 * The answer to a fetch of an enrollment link: a profile with a challenge of its own, with which an attempt will begin,
 * or a refusal; undefined for an unknown key. Nothing but the challenge is written, and no use is taken: only a device that
 * says Authenticate takes one. Fetches at the same time share one transaction.
 */
export function createLinkFetch(deps: LinkFetchDeps) {
  const { db, clock, identity, users, strangers } = deps

  const batches = createGroupCommit<Grant, string>({
    key: ({ attemptId }) => attemptId,
    run: (grants) => db.transaction((trx) => identity.newLinkChallenges(trx, grants)),
    maxBatch: LINKS_AT_ONCE,
    lanes: LANES[db.kind],
  })

  return async function fetchLink(
    key: string,
    { id: request_id, ip: address }: { id: string; ip: string },
  ): Promise<LinkAnswer | undefined> {
    const [link, topic] = await Promise.all([deps.links.byKey(db.kysely, key), deps.currentTopic()])
    if (link === undefined) return undefined
    const person = link.user_id === null ? undefined : await users.find(db.kysely, link.user_id)
    const reason = refusalOf(deps, link, person)
    if (topic === null || reason !== undefined) {
      const refused = reason ?? 'push_certificate_missing'
      const about = { link_id: link.id, user_name: person?.user_name }
      strangers.note({ address, way: 'link', reason: refused, request_id, ...about })
      return { refused }
    }
    const user = person && { id: person.id, name: person.user_name }
    const reference = newId(clock.now())
    const challenge = await batches.submit({ attemptId: reference, linkId: link.id, user })
    return { profile: await renderProfile(deps, { reference, challenge, topic }) }
  }
}

function refusalOf(deps: LinkFetchDeps, link: StoredLink, user: User): ReasonCode | undefined {
  return deps.links.refusalOf(link) ?? (user?.disabled ? 'user_disabled' : undefined)
}

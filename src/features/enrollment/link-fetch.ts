import type { Db } from '../../db/index.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import type { Attempts, NewAttempt, ReasonCode } from '../attempts/index.ts'
import type { DeviceIdentity } from '../device-identity/index.ts'
import type { Events } from '../events/index.ts'
import type { Users } from '../users/index.ts'
import { ATTEMPT_MINUTES } from './attempt-deadline.ts'
import type { Links } from './links.ts'
import { renderProfile } from './profile.ts'
import type { StoredLink } from './store.ts'

/** What whoever opens a link gets. */
type LinkAnswer = { profile: Buffer } | { refused: ReasonCode }

/** What answering a link takes. */
export interface LinkFetchDeps {
  db: Db
  clock: Clock
  events: Events
  attempts: Pick<Attempts, 'open' | 'reject'>
  users: Pick<Users, 'find'>
  identity: Pick<DeviceIdentity, 'newChallenge' | 'signProfile'>
  links: Pick<Links, 'byKey' | 'refusalOf'>
  publicUrl: string
  instanceId: string
  /** The topic of the push certificate in use; null without a valid one. */
  currentTopic: () => Promise<string | null>
}

type User = Awaited<ReturnType<Users['find']>>

/**
 * Answers a fetch of an enrollment link: an attempt is opened, and a profile made for it alone, or the attempt is
 * refused. An unknown key opens none; undefined then. No use is taken: only a device that says Authenticate takes one.
 */
export async function fetchLink(
  deps: LinkFetchDeps,
  key: string,
  requestId: string,
): Promise<LinkAnswer | undefined> {
  const { db, attempts, identity, users } = deps
  const link = await deps.links.byKey(db.kysely, key)
  if (link === undefined) return undefined
  const user = link.user_id === null ? undefined : await users.find(db.kysely, link.user_id)
  const topic = await deps.currentTopic()
  const reason = refusalOf(deps, link, user, topic)
  const attempt = newAttempt(link, user, deps.clock.now())
  if (topic === null || reason !== undefined) {
    const refused = reason ?? 'push_certificate_missing'
    await db.transaction(async (trx) => {
      const id = await attempts.open(trx, attempt, { step: 'contact', outcome: 'passed' })
      const detail = { link_id: link.id }
      await attempts.reject(trx, id, { step: 'profile', reason: refused, detail, request_id: requestId })
    })
    return { refused }
  }
  const { reference, challenge } = await db.transaction(async (trx) => {
    const passed = { outcome: 'passed' } as const
    const id = await attempts.open(
      trx,
      attempt,
      { step: 'contact', ...passed },
      { step: 'profile', ...passed },
    )
    return { reference: id, challenge: await identity.newChallenge(trx, { attemptId: id }) }
  })
  return { profile: await renderProfile(deps, { reference, challenge, topic }) }
}

function refusalOf(
  deps: LinkFetchDeps,
  link: StoredLink,
  user: User,
  topic: string | null,
): ReasonCode | undefined {
  const refusal = deps.links.refusalOf(link)
  if (refusal !== undefined) return refusal
  if (user?.disabled) return 'user_disabled'
  return topic === null ? 'push_certificate_missing' : undefined
}

function newAttempt(link: StoredLink, user: User, now: Date): NewAttempt {
  return {
    way: 'link',
    link_id: link.id,
    user_id: link.user_id,
    user_name: user?.user_name ?? null,
    deadline: addTime(now, ATTEMPT_MINUTES, 'minute'),
  }
}

import { createGroupCommit, type Db } from '../../db/index.ts'
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
  attempts: Pick<Attempts, 'open' | 'openMany' | 'reject'>
  users: Pick<Users, 'find'>
  identity: Pick<DeviceIdentity, 'newChallenges' | 'signProfile'>
  links: Pick<Links, 'byKey' | 'refusalOf'>
  publicUrl: string
  instanceId: string
  /** The topic of the push certificate in use; null without a valid one. */
  currentTopic: () => Promise<string | null>
}

type User = Awaited<ReturnType<Users['find']>>

/** An attempt for which a profile is to be made. */
interface Grant {
  id: number
  attempt: NewAttempt
}

/** What the profile is made for. */
interface Granted {
  reference: string
  challenge: string
}

const MAX_BATCH = 64
const LANES = { postgres: 2, embedded: 1 } as const

/**
 * Makes the answer to a fetch of an enrollment link: an attempt is opened, and a profile made for it alone, or the attempt is
 * refused. An unknown key opens none; undefined then. No use is taken: only a device that says Authenticate takes one.
 * Attempts that are opened at the same time share one transaction.
 */
export function createLinkFetch(deps: LinkFetchDeps) {
  const { db, attempts, identity, users } = deps
  let count = 0

  function open(grants: Grant[]): Promise<Granted[]> {
    const passed = { outcome: 'passed' } as const
    const steps = [
      { step: 'contact', ...passed },
      { step: 'profile', ...passed },
    ] as const
    return db.transaction(async (trx) => {
      const ids = await attempts.openMany(
        trx,
        grants.map(({ attempt }) => ({ attempt, steps })),
      )
      const challenges = await identity.newChallenges(
        trx,
        ids.map((attemptId) => ({ attemptId })),
      )
      return ids.map((reference, at) => ({ reference, challenge: challenges[at] ?? '' }))
    })
  }

  const batches = createGroupCommit<Grant, Granted>({
    key: ({ id }) => String(id),
    run: open,
    maxBatch: MAX_BATCH,
    lanes: LANES[db.kind],
  })

  async function refuse(attempt: NewAttempt, reason: ReasonCode, requestId: string): Promise<LinkAnswer> {
    await db.transaction(async (trx) => {
      const id = await attempts.open(trx, attempt, { step: 'contact', outcome: 'passed' })
      const detail = { link_id: attempt.link_id }
      await attempts.reject(trx, id, { step: 'profile', reason, detail, request_id: requestId })
    })
    return { refused: reason }
  }

  return async function fetchLink(key: string, requestId: string): Promise<LinkAnswer | undefined> {
    const [link, topic] = await Promise.all([deps.links.byKey(db.kysely, key), deps.currentTopic()])
    if (link === undefined) return undefined
    const user = link.user_id === null ? undefined : await users.find(db.kysely, link.user_id)
    const reason = refusalOf(deps, link, user, topic)
    const attempt = newAttempt(link, user, deps.clock.now())
    if (topic === null || reason !== undefined)
      return refuse(attempt, reason ?? 'push_certificate_missing', requestId)
    const granted = await batches.submit({ id: count++, attempt })
    return { profile: await renderProfile(deps, { ...granted, topic }) }
  }
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

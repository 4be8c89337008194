import { withoutNul, type Db, type Queries, type Tx } from '../../db/index.ts'
import { SEALED_FOR } from '../../db/sealed-columns.ts'
import type { Act } from '../../kernel/act.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { newId, newSecret, sha256 } from '../../kernel/ids.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import type { Events } from '../events/index.ts'
import type { Groups } from '../groups/index.ts'
import type { Users } from '../users/index.ts'
import {
  findLink,
  findLinkByKey,
  insertLink,
  listLinks,
  revokeLink,
  takeUse,
  type StoredLink,
} from './links-store.ts'

const DEFAULT_DAYS = 7
const KEY_BYTES = 24

/** Why a link lets nobody in any more. */
type LinkRefusal = 'link_used_up' | 'link_expired' | 'link_revoked'

/** An enrollment link as administrators see it; whoever has `url` can enrol a device. */
export type EnrollmentLink = Omit<StoredLink, 'key_hash' | 'key_sealed' | 'user_id'> & {
  url: string
  user_name: string | null
}

/** What a new link is asked to be; by default good for one device and seven days. */
interface NewLink {
  user_name?: string | null
  /** A static group. */
  group_id?: string | null
  uses?: number
  expires_at?: Date | null
}

/** Enrollment links: addresses by which devices enrol without an enrollment policy. */
export type Links = ReturnType<typeof createLinks>

interface LinksDeps {
  db: Db
  clock: Clock
  events: Events
  users: Pick<Users, 'find' | 'findByName'>
  groups: Pick<Groups, 'hold'>
  secretBox: SecretBox
  /** Without a final slash. */
  publicUrl: string
}

/** Enrollment links: made, told, revoked, and used up. */
export function createLinks(deps: LinksDeps) {
  const { db, clock, events, users, secretBox, publicUrl } = deps

  /** A new link. Throws `invalid_request`, naming the field, for an unknown user or group, or a past time. */
  async function create(wanted: NewLink, act: Act): Promise<EnrollmentLink> {
    const now = clock.now()
    const { uses = 1 } = wanted
    const expires_at = wanted.expires_at ?? addTime(now, DEFAULT_DAYS, 'day')
    if (expires_at <= now) throw badField('expires_at', 'must be in the future')
    return db.transaction(async (trx) => {
      const { user, group_id } = await checkNamed(trx, deps, wanted)
      const id = newId(now)
      const key = newSecret(KEY_BYTES)
      const link: StoredLink = {
        id,
        key_hash: sha256(key),
        key_sealed: secretBox.seal(Buffer.from(key), SEALED_FOR.linkKey(id)),
        user_id: user?.id ?? null,
        group_id,
        uses,
        used: 0,
        expires_at,
        revoked_at: null,
        created_at: now,
        updated_at: now,
      }
      await insertLink(trx, link)
      await events.emit(trx, {
        type: 'enrollment_link.created',
        act,
        user_name: user?.user_name ?? null,
        data: { link_id: id, uses, expires_at: expires_at.toISOString() },
      })
      return show(link, user?.user_name ?? null)
    })
  }

  async function withNames(links: readonly StoredLink[]): Promise<EnrollmentLink[]> {
    const names = new Map<string, string>()
    for (const id of new Set(links.flatMap(({ user_id }) => user_id ?? []))) {
      const user = await users.find(db.kysely, id)
      if (user !== undefined) names.set(id, user.user_name)
    }
    return links.map((link) => show(link, names.get(link.user_id ?? '') ?? null))
  }

  function show(link: StoredLink, user_name: string | null): EnrollmentLink {
    const { id, uses, used, group_id, expires_at, revoked_at, created_at, updated_at } = link
    const url = `${publicUrl}/enroll/link/${secretBox.open(link.key_sealed, SEALED_FOR.linkKey(id)).toString()}`
    return { id, url, uses, used, user_name, group_id, expires_at, revoked_at, created_at, updated_at }
  }

  return {
    create,
    /** A page of links, newest first. */
    async list(query: { before?: string; limit: number }): Promise<EnrollmentLink[]> {
      return withNames(await listLinks(db.kysely, query))
    },
    /** One link, or undefined. */
    async get(id: string): Promise<EnrollmentLink | undefined> {
      const link = await findLink(db.kysely, id)
      return link && (await withNames([link]))[0]
    },
    /** Revokes a link; the row stays. A second time changes nothing. Throws `not_found`. */
    async revoke(id: string, act: Act): Promise<void> {
      await db.transaction(async (trx) => {
        const revoked = await revokeLink(trx, id, clock.now())
        if (revoked !== undefined) {
          await events.emit(trx, {
            type: 'enrollment_link.revoked',
            act,
            data: { link_id: id, used: revoked.used },
          })
        } else if ((await findLink(trx, id)) === undefined) {
          throw new AppError('not_found', 'There is no such enrollment link.')
        }
      })
    },
    /** The link that an address names, or undefined. */
    byKey: (queries: Queries, key: string): Promise<StoredLink | undefined> =>
      findLinkByKey(queries, sha256(key)),
    /** Why the link lets nobody in at this moment; undefined when it does. */
    refusalOf: (link: StoredLink): LinkRefusal | undefined => judge(link, clock.now()),
    /** Takes one use of the link, or says why that is not possible; exact in any race, undone with `trx`. */
    async takeUse(trx: Tx, id: string): Promise<'taken' | LinkRefusal> {
      const now = clock.now()
      if (await takeUse(trx, id, now)) return 'taken'
      const link = await findLink(trx, id)
      return (link && judge(link, now)) ?? 'link_revoked'
    },
  }
}

async function checkNamed(trx: Tx, { users, groups }: Pick<LinksDeps, 'groups' | 'users'>, wanted: NewLink) {
  const user_name = withoutNul(wanted.user_name ?? null)
  const user = user_name === null ? undefined : await users.findByName(trx, user_name)
  if (user_name !== null && user === undefined) throw badField('user_name', 'there is no such user')
  const group_id = withoutNul(wanted.group_id ?? null)
  const group = group_id === null ? undefined : await groups.hold(trx, group_id)
  if (group_id !== null && group?.kind !== 'static')
    throw badField('group_id', 'there is no such static group')
  return { user, group_id }
}

function judge(link: StoredLink, now: Date): LinkRefusal | undefined {
  if (link.revoked_at !== null) return 'link_revoked'
  if (link.expires_at <= now) return 'link_expired'
  return link.used >= link.uses ? 'link_used_up' : undefined
}

function badField(path: string, message: string): AppError {
  return new AppError('invalid_request', `${path}: ${message}.`, { fields: [{ path, message }] })
}

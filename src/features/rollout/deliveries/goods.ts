import type { Queries } from '../../../db/index.ts'
import { installCommand, changeCommand, removeCommand } from '../apps/commands.ts'
import { renderingOf as renderingOfApp } from '../apps/configuration.ts'
import { judgeApp } from '../apps/judge.ts'
import type { AppFacts } from '../apps/types.ts'
import { payloadUuidOf, renderingOf } from '../profiles/rendering.ts'
import type { ProfileFacts } from '../profiles/revisions.ts'
import type { FindGoods } from './decide.ts'
import { OF_ANOTHER_COMMAND, type Device, type Goods, type Kind, type Report, type Version } from './types.ts'

/** Names a revision of a thing. */
export interface Revision {
  kind: Kind
  id: string
  revision: number
}

/** Where revisions are found. */
export interface Shelves {
  profiles: {
    findRevisions: (db: Queries, keys: readonly { id: string; revision: number }[]) => Promise<ProfileFacts[]>
  }
  apps: {
    findRevisions: (db: Queries, keys: readonly { id: string; revision: number }[]) => Promise<AppFacts[]>
  }
}

/** Finds what the engine asks of these revisions; `before`: what stands on the device may be of an older one. */
export async function loadGoods(
  db: Queries,
  shelves: Shelves,
  wanted: readonly Revision[],
): Promise<FindGoods> {
  const of = (kind: Kind) => wanted.filter((one) => one.kind === kind)
  const profiles = await shelves.profiles.findRevisions(db, of('profile'))
  const apps = await shelves.apps.findRevisions(db, of('app'))
  const goods = new Map<string, Goods>()
  for (const facts of profiles) goods.set(`profile ${facts.id} ${facts.revision}`, goodsOfProfile(facts))
  const appFacts = new Map(apps.map((facts) => [`${facts.id} ${facts.revision}`, facts]))
  for (const facts of apps)
    goods.set(
      `app ${facts.id} ${facts.revision}`,
      goodsOfApp(facts, (revision) => appFacts.get(`${facts.id} ${revision}`)),
    )
  return (kind, id, revision) => goods.get(`${kind} ${id} ${revision}`)
}

function goodsOfProfile(facts: ProfileFacts): Goods {
  const { identifier, id } = facts
  return {
    identifier,
    isForUser: facts.scope === 'user',
    isThereWhenAcknowledged: true,
    needsApps: facts.app_lock_ids,
    removedAt: facts.removal_date,
    rendering: ({ values }) => renderingOf(facts, values),
    install: ({ values }) =>
      facts.needed.some((name) => !values.get(name))
        ? { state: 'failed', reason: 'variable_missing' }
        : { requestType: 'InstallProfile' },
    remove: () => ({ requestType: 'RemoveProfile' }),
    report: ({ listed: { profiles } }, version, since) => {
      if (profiles === null || profiles.at <= since) return { state: 'untold' }
      const uuids = profiles.uuids.get(identifier)
      if (uuids === undefined) return { state: 'absent' }
      const sent = payloadUuidOf({ id, revision: version.revision, rendering: version.rendering })
      return { state: uuids.includes(sent.toLowerCase()) ? 'there' : 'other' }
    },
  }
}

function goodsOfApp(facts: AppFacts, other: (revision: number) => AppFacts | undefined): Goods {
  return {
    identifier: facts.identifier,
    isForUser: false,
    isThereWhenAcknowledged: false,
    needsApps: [],
    removedAt: null,
    rendering: ({ values }) => renderingOfApp(facts, values),
    install: (device, there) => {
      const command = commandFor(facts, device, there, other)
      if (command === null) return { same: true }
      if (command.ok) return { requestType: command.requestType }
      return { state: command.reason === 'os_version' ? 'waiting' : 'failed', reason: command.reason }
    },
    remove: () => {
      const command = removeCommand(facts)
      return command.ok ? { requestType: command.requestType } : undefined
    },
    report: (device, _version, since) => reportOf(facts, device, since),
  }
}

/** The smallest command that brings an app to a device that has `there`; null where nothing that is sent differs. */
export function commandFor(
  facts: AppFacts,
  device: Device,
  there: Version | null,
  other: (revision: number) => AppFacts | undefined,
) {
  const named = there === null ? undefined : other(there.revision)
  const before = named && there?.rendering === OF_ANOTHER_COMMAND ? unconfigured(named) : named
  const of = { platform: device.platform, os_version: device.osVersion, type: device.type }
  return before === undefined
    ? installCommand(facts, device.values, of)
    : changeCommand(before, facts, device.values, of)
}

function unconfigured(facts: AppFacts): AppFacts {
  return { ...facts, options: { ...facts.options, configuration: {} } }
}

const REPORTS = {
  installed: { state: 'there' },
  unsettled: { state: 'on_its_way' },
  waits_for_person: { state: 'waits_for_person' },
  absent: { state: 'absent' },
} as const satisfies Record<string, Report>

function reportOf(facts: AppFacts, { listed, platform }: Device, since: Date): Report {
  const { identifier } = facts
  const managed = listed.managed !== null && listed.managed.at > since ? listed.managed.apps : null
  if (identifier === null) return { state: managed === null ? 'untold' : 'absent' }
  const installed = installedEntry(listed.installed, identifier, since)
  if (managed === null && installed === null) return { state: 'untold' }
  const status = managed?.get(identifier)
  const judgement = judgeApp(
    facts,
    managed === null ? null : status === undefined ? undefined : { status },
    installed,
    platform,
  )
  if (judgement.state !== 'failed') return REPORTS[judgement.state]
  return { state: 'failed', reason: judgement.reason, isFinal: judgement.reason === 'user_rejected' }
}

/** What was listed of an app since a moment; undefined where a whole list came without it, null where nothing tells. */
function installedEntry(list: Device['listed']['installed'], identifier: string, since: Date) {
  const entry = list?.apps.get(identifier)
  const isTold = list?.at != null && list.at > since
  if (entry !== undefined && (isTold || entry.at > since)) return entry
  return isTold ? undefined : null
}

import type { AppFacts } from './types.ts'
import { type AppVersions, isAtLeast } from './versions.ts'

/** What a device tells of a managed app (ManagedApplicationList). */
interface ManagedEntry {
  status: string
}

/** What it tells of an app that is there (InstalledApplicationList). */
interface InstalledEntry extends AppVersions {
  /** Whether it is only on its way. */
  installing?: boolean | null
}

/**
 * How it is with an app on a device.
 * - `installed`: the wanted one, or a later one, is there and managed;
 * - `unsettled`: it is on its way, or the lists do not agree yet: ask again;
 * - `waits_for_person`: the device asks somebody;
 * - `failed`: it will not come by itself. `user_rejected`: a person declined; `user_installed`: the person has installed it, so
 *   that it is not managed; `install_failed`: the device says no more than that;
 * - `absent`: nobody knows of it, or a person has removed it.
 */
type AppJudgement =
  | { state: 'installed' | 'unsettled' | 'waits_for_person' | 'absent' }
  | { state: 'failed'; reason: 'user_rejected' | 'user_installed' | 'install_failed' }

/** What each status of Apple's schema (managed.application.list) comes to; any other is one of an app on its way. */
const STATUSES: Readonly<Record<string, AppJudgement>> = {
  Managed: { state: 'installed' },
  ManagedButUninstalled: { state: 'absent' },
  NeedsRedemption: { state: 'waits_for_person' },
  Prompting: { state: 'waits_for_person' },
  PromptingForLogin: { state: 'waits_for_person' },
  PromptingForUpdate: { state: 'waits_for_person' },
  PromptingForUpdateLogin: { state: 'waits_for_person' },
  PromptingForManagement: { state: 'waits_for_person' },
  UserRejected: { state: 'failed', reason: 'user_rejected' },
  UpdateRejected: { state: 'failed', reason: 'user_rejected' },
  ManagementRejected: { state: 'failed', reason: 'user_rejected' },
  UserInstalledApp: { state: 'failed', reason: 'user_installed' },
  Failed: { state: 'failed', reason: 'install_failed' },
}

const UNSETTLED: AppJudgement = { state: 'unsettled' }
const INSTALLED: AppJudgement = { state: 'installed' }
const ABSENT: AppJudgement = { state: 'absent' }

/**
 * How it is with an app by what a device told last. An entry is undefined where the list was told without the app, and null
 * where that list has not been told. A store app's version never decides; of a hosted one the wanted version, or a later one,
 * must be there. On Macs the list of what is there decides alone whether an app is installed.
 */
export function judgeApp(
  facts: Pick<AppFacts, 'hosted'>,
  managed: ManagedEntry | undefined | null,
  installed: InstalledEntry | undefined | null,
  platform: string | null,
): AppJudgement {
  const told = managed && statusOf(managed.status)
  if (platform === 'macos') return judgeOnMac(facts, told, installed)
  if (managed === null) return UNSETTLED
  if (told === undefined || told === null) return ABSENT
  if (told.state !== 'installed' || facts.hosted === null) return told
  return isThere(facts.hosted, installed) ? INSTALLED : UNSETTLED
}

function judgeOnMac(
  { hosted }: Pick<AppFacts, 'hosted'>,
  told: AppJudgement | undefined | null,
  installed: InstalledEntry | undefined | null,
): AppJudgement {
  if (installed && isThere(hosted, installed)) return INSTALLED
  // It is no use to hear that it is managed where it is not there.
  if (told && told.state !== 'installed') return told
  return installed === undefined && told === undefined ? ABSENT : UNSETTLED
}

function isThere(hosted: AppFacts['hosted'], installed: InstalledEntry | undefined | null): boolean {
  if (!installed || installed.installing === true) return false
  return hosted === null || isAtLeast(installed, hosted)
}

function statusOf(status: string): AppJudgement {
  return Object.hasOwn(STATUSES, status) ? (STATUSES[status] ?? UNSETTLED) : UNSETTLED
}
